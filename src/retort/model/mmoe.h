// The multi-task teacher: multi-gate mixture of experts under the ESMM factorisation.
#pragma once

#include <vector>

#include <torch/torch.h>

#include "retort/model/models.h"
#include "retort/model/teacher_input.h"
#include "retort/nn/mlp.h"

namespace retort {

/// K experts f_k (MLP, ReLU after each layer); gates g_c = softmax(W_c x), g_d = softmax(W_d x)
/// without bias; e_c = sum_k g_ck f_k, e_d likewise; towers of `tower_layers` (ReLU) and a linear
/// logit: a = h_c(e_c), b = h_d(e_d); pCTR = sigmoid(a), pCVR = sigmoid(b), pCTCVR their product,
/// whose logit is ctcvr_logit(a, b).
/// Names: teacher.expert<k>.layer<i>, teacher.gate_click, teacher.gate_read, teacher.tower_click,
/// teacher.tower_read (.layer<i>); tables teacher.<feature>.
/// Source: DMTL sec. 2.1, 3.1.4, eq. 1-6 (MMoE: Ma et al., KDD 2018; ESMM: Ma et al., SIGIR 2018).
/// Shapes: logits [R].
class Mmoe : public RankingModel {
 public:
  Mmoe(const Schema& schema, const TeacherOptions& options);
  TaskLogits score(const TensorBatch& batch) override;
  void initialise(const Rng& init, double embedding_deviation);

 private:
  TeacherInput input_;
  std::vector<Mlp> experts_;
  torch::nn::Linear gate_click_{nullptr}, gate_read_{nullptr};
  std::shared_ptr<DensePlans> gate_plans_ = std::make_shared<DensePlans>();
  Mlp tower_click_{nullptr}, tower_read_{nullptr};
};

std::shared_ptr<RankingModel> make_mmoe(const Schema&, const Json& teacher, const Rng& init,
                                        CandidateModel* student);

}  // namespace retort
