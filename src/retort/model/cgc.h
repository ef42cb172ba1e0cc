// Teachers whose experts belong to a task or to all: customised gate control, and its levels.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <torch/torch.h>

#include "retort/model/models.h"
#include "retort/model/teacher_input.h"
#include "retort/nn/mlp.h"

namespace retort {

/// Kinds "cgc" (one level) and "ple". Level j: experts E_s of all tasks and E_t of each, MLPs with
/// ReLU after each layer; task t takes softmax(W_t z_t) [E_t(z_t); E_s(z_s)], and below the last
/// level what all share is softmax(W_s z_s) [every expert of the level]. z_t and z_s of the first
/// level are x, of the next what the one below gave t and the shared. Gates are linear, without
/// bias. Each task of the forest then has a tower of `tower_layers` (ReLU) and a linear logit of
/// p(t | its parent); p(t | shown) by forest_logits. Names, with j, k from 0:
/// teacher.level<j>.shared.expert<k>.layer<i>, teacher.level<j>.shared.gate (not of the last
/// level), teacher.level<j>.task_<t>.expert<k>, .gate; teacher.tower_<t>.layer<i>. Source: PLE,
/// Tang et al., RecSys 2020, sec. 4.1 (CGC), eq. 4-6, and 4.2; DMMP (abstract), methods C1; entire
/// space: ESMM, Ma et al., SIGIR 2018. Shapes: logits [R].
class Cgc : public RankingModel {
 public:
  Cgc(const Schema& schema, const TeacherOptions& options);
  TaskLogits score(const TensorBatch& batch) override;
  RankerSpec spec() const override { return input_.spec("cgc", options_); }
  std::vector<std::string> outputs() const override;
  std::vector<torch::Tensor> common_weights() override;
  void initialise(const Rng& init, double embedding_deviation);

 private:
  /// Experts of one owner at one level, and the gate of what the owner gets from the level.
  struct Group {
    std::string name;
    std::vector<Mlp> experts;
    torch::nn::Linear gate{nullptr};  // none of the shared ones at the last level
    std::shared_ptr<DensePlans> plans = std::make_shared<DensePlans>();
  };
  struct Level {
    Group shared;
    std::vector<Group> tasks;
  };
  Group make_group(const std::string& name, int64_t width, int32_t experts, int64_t gated) const;
  Level make_level(int32_t level, int64_t width) const;
  static std::vector<std::vector<torch::Tensor>> run(const std::vector<const Group*>& groups,
                                                     const std::vector<GroupedRows>& inputs);
  static std::vector<GroupedRows> mix(const Level& level, const std::vector<GroupedRows>& inputs);

  TeacherOptions options_;
  TeacherInput input_;
  std::vector<Level> levels_;
  std::vector<Mlp> towers_;  // a task each
};

std::shared_ptr<RankingModel> make_cgc(const Schema&, const Json& teacher, const Rng& init,
                                       CandidateModel* student);

}  // namespace retort
