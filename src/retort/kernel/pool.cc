#include "retort/kernel/pool.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "retort/common/error.h"

namespace retort {

void RowTable::add_row(int64_t id, float* to) const {
  const int64_t at = id * dim;
  if (floats != nullptr) {
    for (int64_t d = 0; d < dim; ++d) to[d] += floats[at + d];
  } else if (bf16 != nullptr) {
    for (int64_t d = 0; d < dim; ++d)
      to[d] += std::bit_cast<float>(static_cast<uint32_t>(bf16[at + d]) << 16);
  } else {
    for (int64_t d = 0; d < dim; ++d) to[d] += scales[id] * static_cast<float>(int8[at + d]);
  }
}

float quantise_row(const float* values, int64_t dim, int8_t* out) {
  float largest = 0;
  for (int64_t d = 0; d < dim; ++d) largest = std::max(largest, std::abs(values[d]));
  const float scale = largest / 127;
  for (int64_t d = 0; d < dim; ++d)
    out[d] = scale > 0 ? static_cast<int8_t>(std::lround(values[d] / scale)) : int8_t{0};
  return scale;
}

void gather_pool(const RowTable& table, std::span<const int32_t> ids,
                 std::span<const int32_t> offsets, Pooling pooling, std::span<float> out,
                 int64_t out_stride) {
  const int64_t dim = table.dim, rows = table.rows;
  check(dim > 0 && out_stride >= dim, "gather_pool: dim {} and stride {}", dim, out_stride);
  check(!offsets.empty(), "gather_pool: no offsets");
  const int64_t bags = static_cast<int64_t>(offsets.size()) - 1;
  check(bags == 0 || static_cast<int64_t>(out.size()) >= (bags - 1) * out_stride + dim,
        "gather_pool: output of {} floats is too short for {} bags", out.size(), bags);
  for (int64_t bag = 0; bag < bags; ++bag) {
    const int64_t begin = offsets[static_cast<size_t>(bag)];
    const int64_t end = offsets[static_cast<size_t>(bag) + 1];
    check(begin >= 0 && begin <= end && end <= static_cast<int64_t>(ids.size()),
          "gather_pool: bag {} is [{}, {}) of {} ids", bag, begin, end, ids.size());
    float* target = out.data() + bag * out_stride;
    std::fill(target, target + dim, 0.0f);
    for (int64_t position = begin; position < end; ++position) {
      const int64_t id = ids[static_cast<size_t>(position)];
      check(id >= 0 && id < rows, "gather_pool: id {} is outside a table of {} rows", id, rows);
      table.add_row(id, target);
    }
    if (pooling == Pooling::kMean && end - begin > 1) {
      const float scale = 1.0f / static_cast<float>(end - begin);
      for (int64_t d = 0; d < dim; ++d) target[d] *= scale;
    }
  }
}

}  // namespace retort
