// Dense fp32 products for inference: the layers of a tower and the inner products of search.
// Plain loops over blocks, compiled for several instruction sets and chosen when the program
// starts. Sums run in a fixed order: a result does not depend on the number of threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace retort {

/// Rows of a matrix [rows, cols] laid out in panels of 16 rows, column by column, the last panel
/// padded with zeros: packed once, multiplied often.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  /// `matrix` is row-major; throws ArgumentError if its size is not rows * cols.
  PackedMatrix(std::span<const float> matrix, int64_t rows, int64_t cols);
  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  /// Panel p holds rows [16 p, 16 p + 16): value (r, c) at [c * 16 + r].
  const float* panel(int64_t p) const { return values_.data() + p * cols_ * kPanel; }
  int64_t panels() const { return (rows_ + kPanel - 1) / kPanel; }

  static constexpr int64_t kPanel = 16;

 private:
  int64_t rows_ = 0, cols_ = 0;
  std::vector<float> values_;
};

/// out = x weight^T + bias, then max(0, .) with `relu`. Shapes: x [R, in], weight [out, in], bias
/// [out] or empty, out [R, out], all row-major. Runs on the pool.
/// Throws ArgumentError if sizes do not fit.
void dense_forward(std::span<const float> x, const PackedMatrix& weight,
                   std::span<const float> bias, bool relu, std::span<float> out);
/// The same, packing the weight [out_width, in_width] first.
void dense_forward(std::span<const float> x, std::span<const float> weight, int64_t in_width,
                   int64_t out_width, std::span<const float> bias, bool relu, std::span<float> out);

/// scores[q, i] = <queries[q], items[i]>. Shapes: queries [Q, dim], items [I, dim], scores [Q, I].
/// Runs on the pool. Throws ArgumentError if sizes do not fit.
void dot_block(std::span<const float> queries, std::span<const float> items, int64_t dim,
               std::span<float> scores);
/// The same against items packed before; scores [Q, items.rows()].
void dot_block(std::span<const float> queries, const PackedMatrix& items, std::span<float> scores);

/// Inner product of two vectors of length n.
float dot(const float* a, const float* b, int64_t n);

/// Instruction set in use: "avx512", "avx2" or "generic".
const char* kernel_isa();

}  // namespace retort
