// A mixture of experts for several tasks: experts and gates over one input as one step, then the
// gated sums of all tasks as another.
#pragma once

#include <memory>
#include <vector>

#include <torch/torch.h>

#include "retort/nn/mlp.h"

namespace retort {

/// e_t[r] = sum over k of softmax_k(logits[r, t]) * parts[k][r].
/// Source: MMoE, Ma et al., KDD 2018, eq. 6.
/// @param logits [R, T * K] fp32   @param parts K of [R, H], fp32 or bf16   @return T of [R, H]
std::vector<torch::Tensor> gated_mixtures(const torch::Tensor& logits,
                                          const std::vector<torch::Tensor>& parts);
std::vector<torch::Tensor> gated_mixtures_by_ops(const torch::Tensor& logits,
                                                 const std::vector<torch::Tensor>& parts);

/// The mixtures of `experts`, a task for each gate. @param gates [K, width of x] each
/// @return T of [R, last layer of the experts]
std::vector<torch::Tensor> mixed_experts(const GroupedRows& x, const std::vector<Mlp>& experts,
                                         const std::vector<torch::Tensor>& gates,
                                         const std::shared_ptr<DensePlans>& gate_plans);

}  // namespace retort
