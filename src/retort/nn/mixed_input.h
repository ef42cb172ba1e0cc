// The first layer in bf16: all fields of a side gathered, pooled and rounded into one tensor, and
// its gradient spread back to the tables' rows.
#pragma once

#include <vector>

#include <torch/torch.h>

#include "retort/nn/embedding.h"

namespace retort {

struct MixedField {
  EmbeddingTable table{nullptr};
  SparseTensor column;
  Pooling pooling = Pooling::kMean;
};

/// Fields and, behind them, dense values of one side. @param dense [rows, D] fp32 or undefined
struct MixedPart {
  std::vector<MixedField> fields{};
  torch::Tensor dense{};
};

/// The parts' pooled embeddings and dense values in their order. Gradients of the tables' rows are
/// fp32 and land in `pending`, as those of EmbeddingTable::lookup.
/// @return [rows, padded_width(width)] bf16, zeros behind the width
torch::Tensor mixed_input(std::vector<MixedPart> parts, int64_t rows);

}  // namespace retort
