// The pair-wise losses of RRA: watching minutes as a weighted logistic regression, and the ranking
// model's probability as a soft target.
#pragma once

#include <torch/torch.h>

#include "retort/loss/losses.h"

namespace retort {

/// L = sum_i known_i [ y_i w_i softplus(-s_i) + (1 - y_i) softplus(s_i) ] / sum_i known_i
/// exp(s) tends to E[w] p / (1 - p); 0 if nothing is known.
/// Source: RRA eq. 2 (Covington et al., RecSys 2016, sec. 4.2); methods B5, dropping of rows whose
/// minutes are not known yet: B2.
/// @param logits [R]   @param clicks [R]   @param reward [R] w   @param known [R]   @return scalar
torch::Tensor weighted_bce(const torch::Tensor& logits, const torch::Tensor& clicks,
                           const torch::Tensor& reward, const torch::Tensor& known);

/// L = mean_i [ p_i softplus(-x_i) + (1 - p_i) softplus(x_i) ], p = sigmoid(t); dL/dx = (q - p) /
/// R. The target passes no gradient unless `detach` is false. Rows whose target is NaN do not
/// count. Source: RRA eq. 5, 6; methods B5 (a).
/// @param target [R] logit   @param student [R] logit   @return scalar
torch::Tensor soft_bce(const torch::Tensor& target, const torch::Tensor& student,
                       bool detach = true);

/// Options: on.
Loss make_weighted_bce(const Json& term);
/// Options: on; target = teacher_TASK or mentor_TASK (of a frozen ranker), scored_NAME (of
/// [scores]), or logged_click or logged_dwm, the scores of the log; detach; per_snapshot = true:
/// the student's logit on a scale learned for each snapshot of that ranker.
Loss make_soft_bce(const Json& term);

}  // namespace retort
