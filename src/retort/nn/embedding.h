// Embedding tables whose gradients touch only the rows of the step: gather and pool forward,
// merged rows backward; the optimizer steps on the touched rows.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <torch/torch.h>

#include "retort/nn/row_ops.h"
#include "retort/nn/tensor_batch.h"

namespace retort {

/// One table [rows, dim]. `weight` is a plain tensor, not a parameter: autograd never builds its
/// dense gradient. Each differentiable lookup leaves its touched ids and their gradients in
/// `pending`, which the optimizer merges, applies and clears.
/// Source: layout of DMTL sec. 2.1 (one vector a categorical value); the gradient is that of
/// torch::embedding_bag.
struct EmbeddingTableImpl : torch::nn::Module {
  /// `name` is the full one ("user.user_id"), for messages. The weight starts at zero. A bf16 table
  /// takes half the memory; its gradients and what is looked up of it are fp32 all the same.
  EmbeddingTableImpl(int64_t rows, int64_t dim, std::string name = "embedding",
                     torch::ScalarType type = torch::kFloat32);
  /// Rows gathered and pooled per batch row: "mean" or "sum"; an empty row gives zeros.
  /// Throws DataError naming the table on an id outside [0, rows).
  /// @return [R, dim]
  torch::Tensor lookup(const SparseTensor& column, const std::string& pooling);
  torch::Tensor lookup(const SparseTensor& column, Pooling pooling);

  /// Throws DataError naming the table if the column holds an id outside [0, rows).
  void check_ids(const SparseTensor& column) const;

  using Touched = RowGradients;
  const std::string table_name;
  torch::Tensor weight;          // [rows, dim] fp32 or bf16, a registered buffer
  std::vector<Touched> pending;  // since the last step; on a CPU one entry has each id once
};
TORCH_MODULE(EmbeddingTable);

/// What a lookup hands to autograd in place of the table, so that its result has a gradient.
const torch::Tensor& table_anchor();

/// Every embedding table below `module`, with its full name ("user.user_id").
std::vector<std::pair<std::string, EmbeddingTable>> embedding_tables(torch::nn::Module& module);

/// Registers `child` below `root` at the dotted `path`, making plain modules on the way, so that
/// the names of its tensors are "<path>.weight" and so on. A parent must be placed before what
/// hangs on it ("user.history" before "user.history.seconds"): place in sorted order.
/// Throws ConfigError if the name is taken or a part of it is empty.
void place_module(torch::nn::Module& root, const std::string& path,
                  std::shared_ptr<torch::nn::Module> child);

}  // namespace retort
