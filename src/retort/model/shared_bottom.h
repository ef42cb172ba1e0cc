// The plain multi-task teacher: one bottom for all tasks, a tower each.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <torch/torch.h>

#include "retort/model/models.h"
#include "retort/model/teacher_input.h"
#include "retort/nn/mlp.h"

namespace retort {

/// An MLP of `expert_layers` on x with ReLU after each layer, and on it a tower a task of the
/// forest with a linear logit of p(t | its parent); p(t | shown) by forest_logits. Names:
/// teacher.bottom.layer<i>, teacher.tower_<task>.layer<i>. Source: Caruana, Machine Learning 28,
/// 1997; the shared-bottom model of MMoE, Ma et al., KDD 2018, sec. 3.1. Shapes: logits [R].
class SharedBottom : public RankingModel {
 public:
  SharedBottom(const Schema& schema, const TeacherOptions& options);
  TaskLogits score(const TensorBatch& batch) override;
  RankerSpec spec() const override { return input_.spec("shared_bottom", options_); }
  std::vector<std::string> outputs() const override;
  std::vector<torch::Tensor> common_weights() override;
  void initialise(const Rng& init, double embedding_deviation);

 private:
  TeacherInput input_;
  TeacherOptions options_;
  Mlp bottom_{nullptr};
  std::vector<Mlp> towers_;  // a task each
};

std::shared_ptr<RankingModel> make_shared_bottom(const Schema&, const Json& teacher,
                                                 const Rng& init, CandidateModel* student);

}  // namespace retort
