// The one-task teacher of the control KD-single.
#pragma once

#include <torch/torch.h>

#include "retort/model/models.h"
#include "retort/model/teacher_input.h"
#include "retort/nn/mlp.h"

namespace retort {

/// One expert and one tower of the shapes that Mmoe has, one logit: that of a read. It isolates
/// distillation from the second task.
/// Names: teacher.expert0, teacher.tower_read. `experts` is not looked at.
/// Source: methods A7 (KD-single), a control that is not in the paper. Shapes: logit [R].
class Single : public RankingModel {
 public:
  Single(const Schema& schema, const TeacherOptions& options);
  TaskLogits score(const TensorBatch& batch) override;
  RankerSpec spec() const override { return spec_; }
  std::vector<std::string> outputs() const override { return {"read"}; }
  std::vector<torch::Tensor> common_weights() override;
  void initialise(const Rng& init, double embedding_deviation);

 private:
  TeacherInput input_;
  RankerSpec spec_;
  Mlp expert_{nullptr}, tower_{nullptr};
};

std::shared_ptr<RankingModel> make_single(const Schema&, const Json& teacher, const Rng& init,
                                          CandidateModel* student);

}  // namespace retort
