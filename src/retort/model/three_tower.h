// The three-tower student of DMMP: a vector a task, mixed by a gate on the user's preference.
#pragma once

#include <memory>
#include <vector>

#include <torch/torch.h>

#include "retort/model/models.h"
#include "retort/model/options.h"
#include "retort/nn/input.h"
#include "retort/nn/mlp.h"

namespace retort {

/// The recipe's table [student] of this kind.
struct ThreeTowerOptions {
  FeatureOptions features;
  std::vector<int32_t> user_layers{512, 256, 128};  // of each user tower; last sizes equal, linear
  std::vector<int32_t> item_layers{512, 256, 128};
  std::string towers = "2u1i";  // a user tower a task, one of items | 1u2i: the other way round
  GateSpec gate;

  /// Throws ConfigError naming the key.
  static ThreeTowerOptions read(const Json& table);
};

/// Score of task t: s_t = <U_t(u), V(v)>, or with 1u2i <U(u), V_t(v)>; served: s = sum of g_t(u)
/// s_t, which is one inner product, of [sum of g_t U_t] with V or of [g_1 U; g_2 U; ..] with
/// [V_1; V_2; ..], because the gate sees the user alone. Towers as TwoTower's; those of one side
/// see the same embeddings, the gate the user's. Source: DMMP (abstract: three-tower structure,
/// user preference gate); methods C2. Shapes: users [G, D], items [R, D], D the width of a tower,
/// of 1u2i times the tasks.
class ThreeTower : public CandidateModel {
 public:
  /// Tables zero, layers unset: call initialise() or load_weights(). Throws ConfigError if a side
  /// has no input or the towers end in different sizes.
  explicit ThreeTower(ModelSpec spec);
  torch::Tensor encode_users(const SideTensors& users) override;
  torch::Tensor encode_items(const SideTensors& items) override;
  /// With 1u2i zeros stand where the items have other tasks' vectors.
  std::vector<torch::Tensor> encode_user_tasks(const SideTensors& users) override;
  /// How much each task counts for a user, [G, tasks], 1 in sum.
  torch::Tensor preference(const SideTensors& users);
  std::vector<torch::Tensor> common_weights() override;
  const ModelSpec& spec() const override { return spec_; }
  void initialise(const Rng& init, double embedding_deviation);

 private:
  /// A vector of each user tower, then the gate's logits if it is learned; once a batch.
  const std::vector<torch::Tensor>& user_outputs(const SideTensors& users);

  ModelSpec spec_;
  InputLayer user_input_, item_input_;
  std::vector<Mlp> user_, item_;
  Mlp gate_{nullptr};
};

/// Tables "user.<feature>" and "item.<feature>", or "<vocabulary>" with share_tables.
ModelSpec three_tower_spec(const Schema& schema, const ThreeTowerOptions& options);
std::shared_ptr<CandidateModel> make_three_tower(const Schema&, const Json& student,
                                                 const Rng& init);

}  // namespace retort
