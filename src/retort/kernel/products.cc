#include "retort/kernel/products.h"

#include <algorithm>
#include <vector>

#include "retort/common/error.h"
#include "retort/kernel/clones.h"
#include "retort/kernel/dense.h"

namespace retort {
namespace {

/// to_a += g b, to_b += g a.
RETORT_CLONES void add_products(float g, const float* a, const float* b, int64_t dim, float* to_a,
                                float* to_b) {
  for (int64_t d = 0; d < dim; ++d) {
    to_a[d] += g * b[d];
    to_b[d] += g * a[d];
  }
}

}  // namespace

void multiply_rows(const RowTable& table, std::span<const int32_t> ids, std::span<float> out) {
  const int64_t dim = table.dim;
  check(dim > 0 && std::ssize(out) == std::ssize(ids) * dim,
        "multiply_rows: {} values for {} rows of {}", out.size(), ids.size(), dim);
  std::vector<float> row(static_cast<size_t>(dim));
  float* to = out.data();
  for (const int32_t id : ids) {
    check(id >= 0 && id < table.rows, "multiply_rows: id {} is outside a table of {} rows", id,
          table.rows);
    std::fill(row.begin(), row.end(), 0.0f);
    table.add_row(id, row.data());
    for (int64_t d = 0; d < dim; ++d) to[d] *= row[static_cast<size_t>(d)];
    to += dim;
  }
}

void sum_steps(std::span<const float> steps, std::span<const int32_t> offsets, int64_t dim,
               std::span<float> out, int64_t out_stride) {
  check(dim > 0 && out_stride >= dim && !offsets.empty(), "sum_steps: dim {} and stride {}", dim,
        out_stride);
  const int64_t rows = std::ssize(offsets) - 1;
  check(std::is_sorted(offsets.begin(), offsets.end()) && offsets.front() >= 0 &&
            offsets.back() * dim <= std::ssize(steps) &&
            (rows == 0 || std::ssize(out) >= (rows - 1) * out_stride + dim),
        "sum_steps: {} rows of {} steps do not fit {} and {} values", rows, offsets.back(),
        steps.size(), out.size());
  for (int64_t row = 0; row < rows; ++row) {
    float* to = out.data() + row * out_stride;
    std::fill(to, to + dim, 0.0f);
    for (int64_t step = offsets[static_cast<size_t>(row)];
         step < offsets[static_cast<size_t>(row) + 1]; ++step)
      for (int64_t d = 0; d < dim; ++d) to[d] += steps[static_cast<size_t>(step * dim + d)];
  }
}

void pair_products(std::span<const float> fields, int64_t count, int64_t dim, std::span<float> out,
                   int64_t out_stride) {
  check(count > 0 && dim > 0 && std::ssize(fields) % (count * dim) == 0,
        "pair_products: {} values are not {} fields of {}", fields.size(), count, dim);
  const int64_t rows = std::ssize(fields) / (count * dim), pairs = count * (count - 1) / 2;
  check(out_stride >= pairs && (rows == 0 || std::ssize(out) >= (rows - 1) * out_stride + pairs),
        "pair_products: output of {} values, stride {}, for {} rows of {}", out.size(), out_stride,
        rows, pairs);
  const auto field = [&](int64_t i, int64_t row) { return fields.data() + (i * rows + row) * dim; };
  for (int64_t row = 0; row < rows; ++row) {
    float* to = out.data() + row * out_stride;
    for (int64_t i = 0; i < count; ++i)
      for (int64_t j = i + 1; j < count; ++j) *to++ = dot(field(i, row), field(j, row), dim);
  }
}

void pair_products_gradient(std::span<const float> fields, int64_t count, int64_t dim,
                            std::span<const float> d_out, std::span<float> d_fields) {
  check(count > 0 && dim > 0 && std::ssize(fields) % (count * dim) == 0 &&
            d_fields.size() == fields.size(),
        "pair_products: {} values are not {} fields of {}, or not their {} gradients",
        fields.size(), count, dim, d_fields.size());
  const int64_t rows = std::ssize(fields) / (count * dim), pairs = count * (count - 1) / 2;
  check(std::ssize(d_out) == rows * pairs, "pair_products: {} gradients for {} rows of {}",
        d_out.size(), rows, pairs);
  std::fill(d_fields.begin(), d_fields.end(), 0.0f);
  const float* g = d_out.data();
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t i = 0; i < count; ++i)
      for (int64_t j = i + 1; j < count; ++j) {
        const int64_t a = (i * rows + row) * dim, b = (j * rows + row) * dim;
        add_products(*g++, fields.data() + a, fields.data() + b, dim, d_fields.data() + a,
                     d_fields.data() + b);
      }
}

}  // namespace retort
