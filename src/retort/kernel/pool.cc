#include "retort/kernel/pool.h"

#include <algorithm>

#include "retort/common/error.h"

namespace retort {

void gather_pool(std::span<const float> table, int64_t dim, std::span<const int32_t> ids,
                 std::span<const int32_t> offsets, Pooling pooling, std::span<float> out,
                 int64_t out_stride) {
  check(dim > 0 && out_stride >= dim, "gather_pool: dim {} and stride {}", dim, out_stride);
  check(!offsets.empty(), "gather_pool: no offsets");
  const int64_t rows = static_cast<int64_t>(table.size()) / dim;
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
      const float* row = table.data() + id * dim;
      for (int64_t d = 0; d < dim; ++d) target[d] += row[d];
    }
    if (pooling == Pooling::kMean && end - begin > 1) {
      const float scale = 1.0f / static_cast<float>(end - begin);
      for (int64_t d = 0; d < dim; ++d) target[d] *= scale;
    }
  }
}

}  // namespace retort
