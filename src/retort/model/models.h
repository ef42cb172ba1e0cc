// The two roles of a model: candidate generation (two encoders and their inner product) and
// ranking (logits of a pair per task). Recipes compose them by name through model/registry.cc.
#pragma once

#include <torch/torch.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "retort/bundle/model_spec.h"
#include "retort/common/json.h"
#include "retort/common/rng.h"
#include "retort/dataset/schema.h"
#include "retort/nn/embedding.h"
#include "retort/nn/tensor_batch.h"

namespace retort {

/// A student. Parameter names are file format: those of ModelSpec.
class CandidateModel : public torch::nn::Module {
 public:
  virtual torch::Tensor encode_users(const SideTensors& users) = 0;  // [G, D]
  virtual torch::Tensor encode_items(const SideTensors& items) = 0;  // [R, D]
  virtual const ModelSpec& spec() const = 0;
  /// s = <R(u), S(v)> of each row (DMTL eq. 10). @return [R]
  torch::Tensor score(const TensorBatch& batch);
};

/// Logits of a batch per task, [R] each. `read` is the logit of pCTCVR = pCTR * pCVR in closed
/// form (methods A4).
struct TaskLogits {
  torch::Tensor click;             // a
  torch::Tensor read_given_click;  // b
  torch::Tensor read;              // l = -logsumexp(-a, -b, -a-b)
};

/// A teacher.
class RankingModel : public torch::nn::Module {
 public:
  virtual TaskLogits score(const TensorBatch& batch) = 0;
};

struct CandidateModelEntry {
  std::string_view name, summary, source;
  /// `recipe` is the table [student].
  std::shared_ptr<CandidateModel> (*make)(const Schema&, const Json& recipe, const Rng& init);
};
struct RankingModelEntry {
  std::string_view name, summary, source;
  /// `recipe` is the table [teacher].
  std::shared_ptr<RankingModel> (*make)(const Schema&, const Json& recipe, const Rng& init);
};
std::span<const CandidateModelEntry> candidate_models();  // two_tower
std::span<const RankingModelEntry> ranking_models();      // mmoe, single (one head, for KD-single)
std::shared_ptr<CandidateModel> make_candidate_model(const Schema&, const Json& student,
                                                     const Rng& init);
std::shared_ptr<RankingModel> make_ranking_model(const Schema&, const Json& teacher,
                                                 const Rng& init);

/// Every embedding table below `module`, with its full name ("user.user_id").
std::vector<std::pair<std::string, EmbeddingTable>> embedding_tables(torch::nn::Module& module);
/// A student rebuilt from its stored architecture (bundle, checkpoint).
std::shared_ptr<CandidateModel> make_candidate_model(const ModelSpec& spec);

}  // namespace retort
