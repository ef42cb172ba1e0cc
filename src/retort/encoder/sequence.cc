#include "retort/encoder/sequence.h"

#include <algorithm>
#include <array>

#include "retort/bundle/table_storage.h"
#include "retort/common/error.h"
#include "retort/kernel/products.h"

namespace retort {
namespace {

constexpr int64_t kSteps = 1024;  // of several rows taken through all layers at once

TransformerLayer read_layer(const SafetensorsFile& weights, const std::string& block,
                            const SequenceSpec& spec) {
  const int64_t dim = spec.dim(), hidden = spec.hidden;
  const auto matrix = [&](const char* name, int64_t out, int64_t in) {
    return weights.floats(block + name, std::array{out, in});
  };
  const auto vector = [&](const char* name, int64_t size) {
    return weights.floats(block + name, std::array{size});
  };
  return {{.in_proj = matrix("self_attn.in_proj_weight", 3 * dim, dim),
           .in_bias = vector("self_attn.in_proj_bias", 3 * dim),
           .out_proj = matrix("self_attn.out_proj.weight", dim, dim),
           .out_bias = vector("self_attn.out_proj.bias", dim),
           .linear1 = matrix("linear1.weight", hidden, dim),
           .bias1 = vector("linear1.bias", hidden),
           .linear2 = matrix("linear2.weight", dim, hidden),
           .bias2 = vector("linear2.bias", dim),
           .norm1 = vector("norm1.weight", dim),
           .norm1_bias = vector("norm1.bias", dim),
           .norm2 = vector("norm2.weight", dim),
           .norm2_bias = vector("norm2.bias", dim)},
          dim,
          spec.heads,
          hidden};
}

}  // namespace

SequenceEncoder::SequenceEncoder(const SequenceSpec& spec, const SafetensorsFile& weights)
    : name_(spec.name), dim_(spec.dim()), length_(spec.length) {
  check(!spec.fields.empty(), "sequence '{}' has no fields", name_);
  for (size_t i = 0; i < spec.fields.size(); ++i)
    fields_.push_back(
        {stored_table(weights, spec.fields[i]), static_cast<size_t>(spec.sparse_index[i])});
  if (spec.layers == 0) return;
  positions_ = weights.floats(name_ + ".positions", std::array{length_, dim_});
  for (int32_t i = 0; i < spec.layers; ++i)
    layers_.push_back(read_layer(weights, fmt::format("{}.block{}.", name_, i), spec));
}

void SequenceEncoder::check_batch(const SideBatch& batch) const {
  for (const Field& field : fields_) {
    check(field.sparse < batch.sparse.size() &&
              std::ssize(batch.sparse[field.sparse].offsets) == batch.rows + 1,
          "sequence '{}': sparse feature {} does not cover {} rows", name_, field.sparse,
          batch.rows);
    const SparseColumn& column = batch.sparse[field.sparse];
    check(column.offsets == batch.sparse[fields_.front().sparse].offsets,
          "sequence '{}': sparse features {} and {} differ in length", name_,
          fields_.front().sparse, field.sparse);
    check(column.offsets.front() == 0 && column.offsets.back() <= std::ssize(column.ids) &&
              std::ranges::is_sorted(column.offsets),
          "sequence '{}': offsets of sparse feature {} do not rise from 0 to {}", name_,
          field.sparse, column.ids.size());
  }
}

int64_t SequenceEncoder::steps_of(const SideBatch& batch, int64_t row) const {
  const auto& offsets = batch.sparse[fields_.front().sparse].offsets;
  const auto at = static_cast<size_t>(row);
  return std::min<int64_t>(length_, offsets[at + 1] - offsets[at]);
}

void SequenceEncoder::encode(const SideBatch& batch, int64_t begin, int64_t end,
                             std::span<float> out, int64_t stride) const {
  for (int64_t row = begin; row < end;) {
    int64_t last = row + 1, steps = steps_of(batch, row);
    for (; last < end && steps + steps_of(batch, last) <= kSteps; ++last)
      steps += steps_of(batch, last);
    encode_group(batch, row, last, out.subspan(static_cast<size_t>((row - begin) * stride)),
                 stride);
    row = last;
  }
}

void SequenceEncoder::encode_group(const SideBatch& batch, int64_t begin, int64_t end,
                                   std::span<float> out, int64_t stride) const {
  std::vector<int32_t> offsets{0}, ids;
  for (int64_t row = begin; row < end; ++row)
    offsets.push_back(offsets.back() + static_cast<int32_t>(steps_of(batch, row)));
  std::vector<float> steps(static_cast<size_t>(offsets.back() * dim_), 1.0f);
  for (const Field& field : fields_) {
    const SparseColumn& column = batch.sparse[field.sparse];
    ids.clear();
    for (int64_t row = begin; row < end; ++row) {
      const auto first = column.ids.begin() + column.offsets[static_cast<size_t>(row)];
      ids.insert(ids.end(), first, first + steps_of(batch, row));
    }
    multiply_rows(field.table, ids, steps);
  }
  if (!layers_.empty())
    for (size_t row = 0; row + 1 < offsets.size(); ++row) {
      const auto from = static_cast<size_t>(offsets[row] * dim_);
      const auto count = static_cast<size_t>((offsets[row + 1] - offsets[row]) * dim_);
      for (size_t i = 0; i < count; ++i) steps[from + i] += positions_[i];
    }
  for (const TransformerLayer& layer : layers_) layer.forward(offsets, steps);
  sum_steps(steps, offsets, dim_, out, stride);
}

}  // namespace retort
