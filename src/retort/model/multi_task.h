// The retrieval model of RRA: one user vector a task against one item vector.
#pragma once

#include <memory>

#include <torch/torch.h>

#include "retort/model/mixture.h"
#include "retort/model/models.h"
#include "retort/model/user_bottom.h"

namespace retort {

/// A user vector a task (u_ctr, u_dwm, ..) from the user side's bottom and mixture; S(v) is the
/// show's embedding, or an MLP on the item's input where the spec gives it layers. s = <sum of
/// shares[t] u_t, S(v)>; of two tasks <w u_ctr + (1 - w) u_dwm, S(v)>.
/// Source: RRA sec. 4.2, eq. 7-8. Shapes: users [G, D] a task, items [R, D].
class MultiTask : public CandidateModel {
 public:
  /// Tables zero, layers unset: call initialise() or load_weights(). Throws ConfigError if the
  /// sides' vectors differ in width.
  explicit MultiTask(ModelSpec spec);
  torch::Tensor encode_users(const SideTensors& users) override;
  torch::Tensor encode_items(const SideTensors& items) override;
  std::vector<torch::Tensor> encode_user_tasks(const SideTensors& users) override;
  std::vector<torch::Tensor> common_weights() override;
  const ModelSpec& spec() const override { return spec_; }
  void set_fusion(double w) override;
  void set_shares(const std::vector<double>& shares) override;
  void initialise(const Rng& init, double embedding_deviation);

  /// What a ranking model may share.
  UserBottom& bottom() { return *bottom_; }
  const TableMap& tables() const { return tables_; }

 private:
  ModelSpec spec_;
  TableMap tables_;
  std::unique_ptr<UserBottom> bottom_;
  std::unique_ptr<Mixture> mixture_;
  InputLayer item_input_;
  Mlp item_{nullptr};
};

/// Fills the tables below `module`: N(0, deviation^2), but side information of the user's sequences
/// N(1, 0.05^2), so that products start near the shows' own rows (methods B3).
void initialise_sequence_tables(torch::nn::Module& module, const TowerSpec& user, const Rng& init,
                                double deviation);

std::shared_ptr<CandidateModel> make_multi_task(const Schema&, const Json& student,
                                                const Rng& init);

}  // namespace retort
