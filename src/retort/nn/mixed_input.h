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

/// Pooled embeddings of the fields in their order, then the dense values. Gradients of the tables'
/// rows are fp32 and land in `pending`, as those of EmbeddingTable::lookup.
/// @param dense [rows, D] fp32 or undefined
/// @return [rows, padded_width(width)] bf16, zeros behind the width
torch::Tensor mixed_input(std::vector<MixedField> fields, const torch::Tensor& dense, int64_t rows);

}  // namespace retort
