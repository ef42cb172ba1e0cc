#include "retort/encoder/tower.h"

#include <algorithm>

#include "retort/bundle/table_storage.h"
#include "retort/common/error.h"
#include "retort/common/thread_pool.h"

namespace retort {
namespace {

constexpr int64_t kRows = 256;  // rows taken through all layers at once

}  // namespace

Tower::Tower(const TowerSpec& spec, const SafetensorsFile& weights)
    : name_(spec.name),
      dense_width_(spec.input.dense_width),
      width_(spec.input_width()),
      dim_(spec.dim()) {
  for (size_t i = 0; i < spec.input.fields.size(); ++i) {
    const FieldSpec& field = spec.input.fields[i];
    fields_.push_back({stored_table(weights, field),
                       field.pooling == "sum" ? Pooling::kSum : Pooling::kMean,
                       static_cast<size_t>(spec.input.sparse_index[i])});
  }
  for (const SequenceSpec& sequence : spec.sequences) sequences_.emplace_back(sequence, weights);
  if (spec.mixture)
    mixture_.emplace(spec, weights);
  else
    layers_.emplace(spec, weights);
}

void Tower::encode(const SideBatch& batch, std::span<const float> shares,
                   std::span<float> out) const {
  check_batch(batch, std::ssize(out));
  parallel_for(0, batch.rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row += kRows) {
      const int64_t rows = std::min(kRows, end - row);
      std::vector<float> x = input_rows(batch, row, row + rows);
      const auto to =
          out.subspan(static_cast<size_t>(row * dim_), static_cast<size_t>(rows * dim_));
      if (mixture_)
        mixture_->encode(x, shares, to);
      else
        layers_->encode(x, to);
    }
  });
}

void Tower::check_batch(const SideBatch& batch, int64_t out) const {
  check(out == batch.rows * dim_, "{} tower: output of {} floats is not [{}, {}]", name_, out,
        batch.rows, dim_);
  check(std::ssize(batch.dense) == batch.rows * dense_width_ || dense_width_ == 0,
        "{} tower: {} dense values are not [{}, {}]", name_, batch.dense.size(), batch.rows,
        dense_width_);
  for (const Field& field : fields_)
    check(field.sparse < batch.sparse.size() &&
              std::ssize(batch.sparse[field.sparse].offsets) == batch.rows + 1,
          "{} tower: sparse feature {} does not cover {} rows", name_, field.sparse, batch.rows);
  for (const SequenceEncoder& sequence : sequences_) sequence.check_batch(batch);
}

/// Fields, dense values and sequences of rows [begin, end) side by side.
std::vector<float> Tower::input_rows(const SideBatch& batch, int64_t begin, int64_t end) const {
  const int64_t rows = end - begin;
  std::vector<float> x(static_cast<size_t>(rows * width_));
  int64_t column = 0;
  const auto at_column = [&] { return std::span(x).subspan(static_cast<size_t>(column)); };
  for (const Field& field : fields_) {
    const SparseColumn& ids = batch.sparse[field.sparse];
    gather_pool(
        field.table, ids.ids,
        std::span(ids.offsets).subspan(static_cast<size_t>(begin), static_cast<size_t>(rows) + 1),
        field.pooling, at_column(), width_);
    column += field.table.dim;
  }
  if (dense_width_ > 0)
    for (int64_t r = 0; r < rows; ++r)
      std::copy_n(batch.dense.begin() + (begin + r) * dense_width_, dense_width_,
                  x.begin() + r * width_ + column);
  column += dense_width_;
  for (const SequenceEncoder& sequence : sequences_) {
    sequence.encode(batch, begin, end, at_column(), width_);
    column += sequence.dim();
  }
  return x;
}

}  // namespace retort
