// Binary cross-entropy of a logit: the teacher's two tasks, DSSM-Click and DSSM-Classification.
#pragma once

#include <torch/torch.h>

#include "retort/loss/losses.h"

namespace retort {

/// L = mean_i[ y softplus(-x) + (1 - y) softplus(x) ], in nats; dL/dx = (sigmoid(x) - y) / R.
/// Source: DMTL eq. 7 (x = l, y = read, all rows: "entire space") and eq. 8 (x = a, y = click; with
/// y = read its literal reading); methods A3, A4.
/// @param logits [R]   @param labels [R] in [0, 1]   @return scalar
torch::Tensor bce_with_logits(const torch::Tensor& logits, const torch::Tensor& labels);

/// The same over the rows whose label is known (not NaN); divided by R all the same, so that parts
/// of a batch add up.
torch::Tensor known_bce(const torch::Tensor& logits, const torch::Tensor& labels);

/// Options: on; label = click | read | one of the dataset | a task (needed).
Loss make_bce(const Json& term);

}  // namespace retort
