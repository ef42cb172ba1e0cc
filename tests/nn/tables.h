// Sparse columns and their dense twins for the tests of tables.
#pragma once

#include <vector>

#include <torch/torch.h>

#include "retort/nn/tensor_batch.h"

namespace retort {

/// Rows of ids, in no way prepared by to_tensors: nothing is known of them.
inline SparseTensor column_of(const std::vector<std::vector<int64_t>>& rows) {
  std::vector<int64_t> ids, offsets{0};
  for (const std::vector<int64_t>& row : rows) {
    ids.insert(ids.end(), row.begin(), row.end());
    offsets.push_back(static_cast<int64_t>(ids.size()));
  }
  return {torch::tensor(ids, torch::kInt64), torch::tensor(offsets, torch::kInt64)};
}

/// The dense gradient [rows, dim] that merged or unmerged row gradients stand for.
inline torch::Tensor dense_gradient(const torch::Tensor& ids, const torch::Tensor& grads,
                                    int64_t rows) {
  return torch::zeros({rows, grads.size(1)}, grads.options()).index_add(0, ids, grads);
}

}  // namespace retort
