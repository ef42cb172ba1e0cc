// The student's losses against a teacher's logit. The teacher is a constant: no gradient reaches
// it (stop-gradient, sg below).
#pragma once

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

/// Eq. 11 as printed, without logarithms: L = mean_i[ p^2 / q + (1 - p)^2 / (1 - q) ], which is
/// 1 + chi^2(p || q); dL/ds = ((1 - p)^2 e^s - p^2 e^-s) / R, unbounded. An ablation.
/// Source: DMTL eq. 11, literal; methods A3.
/// @param teacher [R] logit   @param student [R] logit   @return scalar
torch::Tensor chi2_literal(const torch::Tensor& teacher, const torch::Tensor& student);

/// Options: target = read (l, DMTL) | click (a, KD-ctr); temperature > 0.
Loss make_kl_bernoulli(const Json& term);
/// Options: target = read | click.
Loss make_chi2_literal(const Json& term);

}  // namespace retort
