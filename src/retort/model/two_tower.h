// The two-tower student.
#pragma once

#include <torch/torch.h>

#include "retort/model/models.h"
#include "retort/model/options.h"
#include "retort/nn/input.h"
#include "retort/nn/mlp.h"

namespace retort {

/// R(u) and S(v): an MLP a side on the concatenated inputs, ReLU between layers, the last linear
/// (with a ReLU there <R, S> >= 0, and probabilities below 1/2 could not be fitted). No cosine, no
/// temperature, no bias.
/// Source: DMTL sec. 2.2, 3.1.4, eq. 10; methods A5. Shapes: users [G, D], items [R, D].
class TwoTower : public CandidateModel {
 public:
  /// Tables zero, layers unset: call initialise() or load_weights(). Throws ConfigError if a side
  /// has no input or the towers end in different sizes.
  explicit TwoTower(ModelSpec spec);
  torch::Tensor encode_users(const SideTensors& users) override;
  torch::Tensor encode_items(const SideTensors& items) override;
  std::vector<torch::Tensor> common_weights() override;
  const ModelSpec& spec() const override { return spec_; }
  void initialise(const Rng& init, double embedding_deviation);

 private:
  ModelSpec spec_;
  InputLayer user_input_, item_input_;
  Mlp user_{nullptr}, item_{nullptr};
};

/// Tables "user.<feature>" and "item.<feature>", or "<vocabulary>" with share_tables.
ModelSpec two_tower_spec(const Schema& schema, const StudentOptions& options);
std::shared_ptr<CandidateModel> make_two_tower(const Schema&, const Json& student, const Rng& init);

}  // namespace retort
