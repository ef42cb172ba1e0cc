// The student's losses against a teacher's logit. The teacher is a constant: no gradient reaches
// it (stop-gradient, sg below).
#pragma once

#include <vector>

#include <torch/torch.h>

#include "retort/loss/losses.h"

namespace retort {

/// KL of Bernoullis, p = sigmoid(sg(t) / tau), q = sigmoid(s / tau), x = s / tau, u = t / tau:
///   L = tau^2 mean_i[ p (softplus(-x) - softplus(-u)) + (1 - p) (softplus(x) - softplus(u)) ]
/// 0 when matched; dL/ds = tau (q - p) / R, bounded. tau^2 keeps the size of the gradients (Hinton
/// et al. 2015); tau = 1 is the paper's.
/// Source: DMTL eq. 11 as its text names it; methods A3, A4.
/// @param teacher [R] logit   @param student [R] logit   @return scalar
torch::Tensor kl_bernoulli(const torch::Tensor& teacher, const torch::Tensor& student,
                           double temperature = 1);

/// The same of each row, before the mean. Shapes: [R]. Source: as kl_bernoulli.
torch::Tensor kl_rows(const torch::Tensor& teacher, const torch::Tensor& student,
                      double temperature = 1);

/// Eq. 11 as printed, without logarithms: L = mean_i[ p^2 / q + (1 - p)^2 / (1 - q) ], which is
/// 1 + chi^2(p || q); dL/ds = ((1 - p)^2 e^s - p^2 e^-s) / R, unbounded. An ablation.
/// Source: DMTL eq. 11, literal; methods A3.
/// @param teacher [R] logit   @param student [R] logit   @return scalar
torch::Tensor chi2_literal(const torch::Tensor& teacher, const torch::Tensor& student);

/// The logit of the fused probability p = product of p_k^w_k of tasks' probabilities, from their
/// logits; without gradient. w of 1 for click and for read given click: pCTCVR.
/// Source: methods D3 (product form). Shapes: [R]; weights 0 or more, not all 0.
torch::Tensor fused_logit(const std::vector<torch::Tensor>& logits,
                          const std::vector<double>& weights);

/// Options: on; target (soft_target.h): a task of the teacher, read (l, DMTL), click (a, KD-ctr),
/// ..; temperature > 0. Rows whose target is not known add 0 to the mean over all.
Loss make_kl_bernoulli(const Json& term);
/// Options: target, as of kl_bernoulli.
Loss make_chi2_literal(const Json& term);

}  // namespace retort
