// Embedding tables whose gradients touch only the rows of the step: gather and pool forward,
// merged rows backward, and an optimizer step on touched rows.
#pragma once

#include <torch/torch.h>

#include <string>
#include <vector>

#include "retort/nn/tensor_batch.h"

namespace retort {

/// One table [rows, dim]. `weight` is a plain tensor, not a parameter: autograd never builds its
/// dense gradient. Each differentiable lookup leaves its touched ids and their gradients in
/// `pending`, which the optimizer merges, applies and clears.
struct EmbeddingTableImpl : torch::nn::Module {
  EmbeddingTableImpl(int64_t rows, int64_t dim);
  /// Rows gathered and pooled per batch row: "mean" or "sum"; an empty row gives zeros.
  /// @return [R, dim]
  torch::Tensor lookup(const SparseTensor& column, const std::string& pooling);

  struct Touched {
    torch::Tensor ids;    // [n] int64, may repeat
    torch::Tensor grads;  // [n, dim]
  };
  torch::Tensor weight;          // [rows, dim] float32, a registered buffer
  std::vector<Touched> pending;  // since the last step
};
TORCH_MODULE(EmbeddingTable);

}  // namespace retort
