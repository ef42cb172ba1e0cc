// Squared error of the student's score against seconds read: DSSM-Regression and its variants.
#pragma once

#include <torch/torch.h>

#include "retort/loss/losses.h"

namespace retort {

/// L = mean_i (s - t)^2; dL/ds = 2 (s - t) / R. Negatives have 0 seconds.
/// Source: DMTL sec. 3.1.2 (t = T, literal); methods A7 (t = T / deviation, t = log1p(T)).
/// @param scores [R]   @param targets [R]   @return scalar
torch::Tensor squared_error(const torch::Tensor& scores, const torch::Tensor& targets);

/// Options: on = student; target = seconds; transform = raw | scaled | log1p; scale: what `scaled`
/// divides by, the standard deviation of the training seconds (> 0; see needs_seconds_deviation).
Loss make_squared(const Json& term);

}  // namespace retort
