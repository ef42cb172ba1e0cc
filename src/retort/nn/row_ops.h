// Gather, pool, merge and expand of rows: on the CPU loops on raw pointers that give the same bits
// with any number of threads, elsewhere (the functions `..._by_ops`) libtorch operations.
#pragma once

#include <string_view>
#include <vector>

#include <torch/torch.h>

#include "retort/kernel/pool.h"
#include "retort/nn/tensor_batch.h"

namespace retort {

/// "mean" or "sum"; throws ConfigError otherwise.
Pooling parse_pooling(std::string_view name);

/// Rows of a table and what is to be done with each.
struct RowGradients {
  torch::Tensor ids;    // [n] int64
  torch::Tensor grads;  // [n, dim]
  bool unique = false;  // no id repeats
};

/// CPU: out[k] = sum over the positions p with the k-th distinct id, in the order of p, of
/// scale[p] * grads[source[p]]. `source` empty: p itself; `scale` empty: 1.
/// @param ids [n] int64   @param grads [m, dim] float, double or bf16 (summed up in fp32), any row
/// stride
RowGradients merge_gradients(const torch::Tensor& ids, const torch::Tensor& grads,
                             const std::vector<int32_t>& source, const std::vector<float>& scale);

/// @param weight [rows, dim]   @return [R, dim], fp32 of bf16; an empty row gives zeros
torch::Tensor pool_rows(const torch::Tensor& weight, const SparseTensor& column, Pooling pooling);
torch::Tensor pool_rows_by_ops(const torch::Tensor& weight, const SparseTensor& column,
                               Pooling pooling);

/// Gradients of the table's rows from those of the pooled rows. @param grad [R, dim]
RowGradients unpool_rows(const torch::Tensor& grad, const SparseTensor& column, Pooling pooling);
RowGradients unpool_rows_by_ops(const torch::Tensor& grad, const SparseTensor& column,
                                Pooling pooling);

/// One entry a distinct id of all `parts`.
RowGradients merge_rows(const std::vector<RowGradients>& parts);
RowGradients merge_rows_by_ops(const std::vector<RowGradients>& parts);

/// Row g of the result is the sum of the rows r of x with owner[r] = g, in their order;
/// differentiable in x.
/// @param x [R, D]   @param owner [R] int64 in [0, groups), ascending   @return [groups, D]
torch::Tensor sum_rows(const torch::Tensor& x, const torch::Tensor& owner, int64_t groups);

/// Row r of the result is row `source[r]` of x; differentiable in x.
/// @param x [G, D]   @param source [R] int64 in [0, G)   @return [R, D]
torch::Tensor expand_rows(const torch::Tensor& x, const torch::Tensor& source);

}  // namespace retort
