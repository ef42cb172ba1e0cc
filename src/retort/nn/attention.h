// What a user side with sequences computes besides dense layers: self-attention over rows of
// different lengths and products of pairs of fields. On the CPU in fp32 these are loops of kernel/
// without padding, elsewhere (the functions `..._by_ops`) libtorch operations.
#pragma once

#include <vector>

#include <torch/torch.h>

#include "retort/nn/tensor_batch.h"

namespace retort {

/// Which steps belong to which row, and where they stand in it. Steps of all rows lie one after
/// another.
struct StepLayout {
  int64_t rows = 0, longest = 0;
  torch::Tensor offsets;   // [G + 1] int32: row g is steps [offsets[g], offsets[g + 1])
  torch::Tensor row;       // [S] int64, ascending
  torch::Tensor position;  // [S] int64, place in the row
};
/// Throws ArgumentError if a row has more than `length` steps.
StepLayout make_steps(const SparseTensor& column, int64_t length);

/// For each head: softmax(Q K^T / sqrt(D / heads)) V, every step seeing every step of its row;
/// differentiable. Steps behind the last row give zeros.
/// @param qkv [S', 3 D] with S' >= S: query, key, value, heads side by side in each   @return [S',
/// D] Source: Vaswani et al., NIPS 2017, eq. 1.
torch::Tensor self_attention(const torch::Tensor& qkv, const StepLayout& layout, int64_t heads);
torch::Tensor self_attention_by_ops(const torch::Tensor& qkv, const StepLayout& layout,
                                    int64_t heads);

/// <f_i, f_j> for i < j in the order (1,2), (1,3) .. (F-1,F); differentiable.
/// @param fields F of [R, D]   @return [R, F (F - 1) / 2]
/// Source: PNN, Qu et al., ICDM 2016 (inner product).
torch::Tensor pair_products(const std::vector<torch::Tensor>& fields);
torch::Tensor pair_products_by_ops(const std::vector<torch::Tensor>& fields);

}  // namespace retort
