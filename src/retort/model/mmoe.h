// The multi-task teacher: multi-gate mixture of experts under the ESMM factorisation, a head a task
// of the recipe's forest.
#pragma once

#include <vector>

#include <torch/torch.h>

#include "retort/model/models.h"
#include "retort/model/teacher_input.h"
#include "retort/nn/mlp.h"

namespace retort {

/// K experts f_k (MLP, ReLU after each layer). Each task t: gate g_t = softmax(W_t x) without bias,
/// e_t = sum_k g_tk f_k, tower of `tower_layers` (ReLU) and a linear logit h_t(e_t) of p(t | its
/// parent); p(t | shown) by forest_logits. Of DMTL's two tasks: pCTR = sigmoid(h_click), pCVR =
/// sigmoid(h_read), pCTCVR their product.
/// Names: teacher.expert<k>.layer<i>, teacher.gate_<task>, teacher.tower_<task>.layer<i>; tables
/// teacher.<feature>.
/// Source: DMTL sec. 2.1, 3.1.4, eq. 1-6 (MMoE: Ma et al., KDD 2018; ESMM: Ma et al., SIGIR 2018).
/// Shapes: logits [R].
class Mmoe : public RankingModel {
 public:
  Mmoe(const Schema& schema, const TeacherOptions& options);
  TaskLogits score(const TensorBatch& batch) override;
  RankerSpec spec() const override { return input_.spec("mmoe", options_); }
  std::vector<std::string> outputs() const override;
  std::vector<torch::Tensor> common_weights() override;
  void initialise(const Rng& init, double embedding_deviation);

 private:
  TeacherInput input_;
  TeacherOptions options_;
  std::vector<Mlp> experts_, towers_;     // towers: a task each
  std::vector<torch::nn::Linear> gates_;  // a task each
  std::shared_ptr<DensePlans> gate_plans_ = std::make_shared<DensePlans>();
};

std::shared_ptr<RankingModel> make_mmoe(const Schema&, const Json& teacher, const Rng& init,
                                        CandidateModel* student);

}  // namespace retort
