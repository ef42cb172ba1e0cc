#include "retort/encoder/input.h"

#include <algorithm>

#include "retort/bundle/table_storage.h"
#include "retort/common/error.h"

namespace retort {

InputRows::InputRows(std::string name, const InputSpec& spec, const SafetensorsFile& weights)
    : name_(std::move(name)), dense_width_(spec.dense_width), width_(spec.width()) {
  for (size_t i = 0; i < spec.fields.size(); ++i) {
    const FieldSpec& field = spec.fields[i];
    fields_.push_back({stored_table(weights, field),
                       field.pooling == "sum" ? Pooling::kSum : Pooling::kMean,
                       static_cast<size_t>(spec.sparse_index[i])});
  }
}

void InputRows::check_batch(const SideBatch& batch) const {
  check(std::ssize(batch.dense) == batch.rows * dense_width_ || dense_width_ == 0,
        "{}: {} dense values are not [{}, {}]", name_, batch.dense.size(), batch.rows,
        dense_width_);
  for (const Field& field : fields_)
    check(field.sparse < batch.sparse.size() &&
              std::ssize(batch.sparse[field.sparse].offsets) == batch.rows + 1,
          "{}: sparse feature {} does not cover {} rows", name_, field.sparse, batch.rows);
}

void InputRows::fill(const SideBatch& batch, int64_t begin, int64_t end, std::span<float> out,
                     int64_t stride) const {
  const auto rows = static_cast<size_t>(end - begin);
  int64_t column = 0;
  for (const Field& field : fields_) {
    const SparseColumn& ids = batch.sparse[field.sparse];
    gather_pool(field.table, ids.ids,
                std::span(ids.offsets).subspan(static_cast<size_t>(begin), rows + 1), field.pooling,
                out.subspan(static_cast<size_t>(column)), stride);
    column += field.table.dim;
  }
  if (dense_width_ == 0) return;
  for (int64_t row = 0; row < end - begin; ++row)
    std::copy_n(batch.dense.begin() + (begin + row) * dense_width_, dense_width_,
                out.begin() + row * stride + column);
}

}  // namespace retort
