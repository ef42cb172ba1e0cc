// Softmax cross-entropy over the whole catalogue as a differentiable operation: the tiled kernel on
// the CPU, plain libtorch on a GPU and as the twin that tests compare with.
#pragma once

#include <torch/torch.h>

#include "retort/kernel/precision.h"

namespace retort {

/// Undefined tensors are absent. All on the device of the users.
struct CatalogueTargets {
  torch::Tensor targets;      // [B] int64, items in [0, N)
  torch::Tensor weight;       // [B] fp32
  torch::Tensor reward;       // [B] fp32
  torch::Tensor log_q;        // [N] fp32, subtracted from every row's logits
  torch::Tensor excluded;     // [N] bool: no row's negatives
  torch::Tensor row_offsets;  // [B + 1] int64, with row_items:
  torch::Tensor row_items;    // int64, ascending in a row: no negatives of that row
  double temperature = 1;
};

/// loss [B], as kernel/catalogue_softmax.h defines it, differentiable in users and items; the
/// logits [B, N] are never held.
/// @param users [B, D] fp32   @param items [N, D] fp32
/// Source: Bengio & Senecal 2008; Yi et al., RecSys 2019 (logQ); Wijmans et al. 2024.
torch::Tensor catalogue_softmax(const torch::Tensor& users, const torch::Tensor& items,
                                const CatalogueTargets& targets,
                                Precision precision = Precision::kAuto);
torch::Tensor catalogue_softmax_by_ops(const torch::Tensor& users, const torch::Tensor& items,
                                       const CatalogueTargets& targets);

}  // namespace retort
