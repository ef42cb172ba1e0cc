// The two roles of a model: candidate generation (two encoders and their inner product) and
// ranking (logits of a pair per task). Recipes compose them by name through model/registry.cc.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <torch/torch.h>

#include "retort/bundle/model_spec.h"
#include "retort/bundle/ranker_spec.h"
#include "retort/common/json.h"
#include "retort/common/rng.h"
#include "retort/dataset/schema.h"
#include "retort/nn/embedding.h"
#include "retort/nn/tensor_batch.h"

namespace retort {

/// A student. Parameter names are file format: those of ModelSpec ("user.layer0.weight"), tables
/// are buffers "user.user_id.weight".
/// Source: DMTL sec. 2.2 (two towers); shapes as each method says.
class CandidateModel : public torch::nn::Module {
 public:
  virtual torch::Tensor encode_users(const SideTensors& users) = 0;  // [G, D]
  virtual torch::Tensor encode_items(const SideTensors& items) = 0;  // [R, D]
  /// One vector for each of the spec's task_names, [G, D] each; of a model of one vector that one.
  virtual std::vector<torch::Tensor> encode_user_tasks(const SideTensors& users);
  /// The weights nearest to the logits that all of them depend on: what losses are balanced by.
  virtual std::vector<torch::Tensor> common_weights() = 0;
  virtual const ModelSpec& spec() const = 0;
  /// w of RRA eq. 8: from now on encode_users mixes the tasks' vectors so. Throws ConfigError for a
  /// model of one vector or a w outside [0, 1].
  virtual void set_fusion(double w);
  /// The same of any number of tasks: u = sum of shares[t] u_t. Throws ConfigError unless they are
  /// as many as the tasks, 0 or more and not all 0.
  virtual void set_shares(const std::vector<double>& shares);
  /// s = <R(u), S(v)> of each row (DMTL eq. 10). @return [R]
  torch::Tensor score(const TensorBatch& batch);
};

/// Logits of a batch by name, [R] each: of tasks, p(task | shown), and of tasks with a parent
/// "<task>_given_<parent>". DMTL's: "click" a, "read_given_click" b, "read" the logit of pCTCVR =
/// pCTR * pCVR in closed form (methods A4). RRA's: "click", "dwm" (weighted logistic regression of
/// watching minutes, eq. 2). "single" has "read" alone.
using TaskLogits = std::map<std::string, torch::Tensor>;

/// A teacher. Every parameter and table name begins with "teacher.".
class RankingModel : public torch::nn::Module {
 public:
  virtual TaskLogits score(const TensorBatch& batch) = 0;
  /// What encoder/ needs to run it without torch; its weights are named as the spec says.
  virtual RankerSpec spec() const = 0;
  /// The names that score() gives.
  virtual std::vector<std::string> outputs() const = 0;
  /// The weights nearest to the logits that all of them depend on: what losses are balanced by.
  virtual std::vector<torch::Tensor> common_weights() = 0;
  /// Whether some of what it computes with belongs to the student, which then is kept with it.
  virtual bool shares_student() const { return false; }
};

struct CandidateModelEntry {
  std::string_view name, summary, source;
  /// `recipe` is the table [student].
  std::shared_ptr<CandidateModel> (*make)(const Schema&, const Json& recipe, const Rng& init);
};
struct RankingModelEntry {
  std::string_view name, summary, source;
  /// `recipe` is the teacher_table() of a recipe; `student`, which outlives the teacher, may lend
  /// it parts; nullptr: there is nothing to lend.
  std::shared_ptr<RankingModel> (*make)(const Schema&, const Json& recipe, const Rng& init,
                                        CandidateModel* student);
};
std::span<const CandidateModelEntry> candidate_models();  // two_tower, three_tower, ..
std::span<const RankingModelEntry> ranking_models();      // mmoe, cgc, ..
/// `student` is the recipe's table, `teacher` its teacher_table(). The weights depend on `init` and
/// on their names only. Throws ConfigError on an unknown kind, key or feature, naming the nearest
/// known one.
std::shared_ptr<CandidateModel> make_candidate_model(const Schema&, const Json& student,
                                                     const Rng& init);
/// nullptr if the table is absent (null) or its kind is "none".
std::shared_ptr<RankingModel> make_ranking_model(const Schema&, const Json& teacher,
                                                 const Rng& init,
                                                 CandidateModel* student = nullptr);

/// The sum of shares[t] vectors[t]: RRA eq. 7 and 8 for any number of tasks. Not empty.
torch::Tensor mix(const std::vector<torch::Tensor>& vectors, const std::vector<double>& shares);

/// A student rebuilt from its stored architecture (bundle, checkpoint); the weights are to be
/// loaded (until then tables are zero).
std::shared_ptr<CandidateModel> make_candidate_model(const ModelSpec& spec);

/// Every tensor of a model that a checkpoint must keep, by its name, parameters and tables, live
/// and detached: "user.layer0.weight", "user.user_id.weight".
std::map<std::string, torch::Tensor> named_weights(torch::nn::Module& module);
/// Copies into the live weights. Throws DataError naming the tensor that is missing, unknown, or of
/// another shape or type.
void load_weights(torch::nn::Module& module, const std::map<std::string, torch::Tensor>& weights);

}  // namespace retort
