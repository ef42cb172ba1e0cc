// Products of many queries with many items, fast and nearly those of dot(), with a bound of what
// they differ by: for counting how many items score above one, where only the close ones need
// dot().
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "retort/kernel/dense.h"

namespace retort {

/// Items as the kernel of this processor reads them: with AMX each number is split into two bf16
/// (of the four products of the parts the three large ones are added), else fp32.
class NearMatrix {
 public:
  NearMatrix() = default;
  /// `rows` [R, dim] row-major. `isa` is for tests, one of near_levels(). Runs on the pool.
  NearMatrix(std::span<const float> rows, int64_t dim, std::string_view isa = "");
  int64_t rows() const { return rows_; }

  /// Queries made ready.
  struct Queries {
    std::vector<uint16_t> split;  // AMX
    std::vector<float> plain;     // fp32
    /// [Q] |product - dot()| of any item is at most this; infinite where nothing is known.
    std::vector<float> margin;
  };
  Queries prepare(std::span<const float> queries) const;

  /// out[q * stride + i] for queries [first, first + count) and rows [begin, end). `first` and
  /// `begin` are multiples of 32; `out` has room for count and end - begin rounded up to
  /// multiples of 32, and what lies past them is undefined. Runs on the calling thread.
  void multiply(const Queries& queries, int64_t first, int64_t count, int64_t begin, int64_t end,
                float* out, int64_t stride) const;

  static constexpr int64_t kRound = 32;

 private:
  int64_t rows_ = 0, dim_ = 0;
  double longest_ = 0;
  bool split_in_two_ = false;
  void (*plain_kernel_)(const float*, int64_t, const PackedMatrix&, int64_t, int64_t, float*,
                        int64_t) = nullptr;
  std::vector<uint16_t> split_;  // see near_product_amx.cc
  PackedMatrix plain_;
};

/// Kernels that this processor runs, fastest first: "amx_bf16", "avx512", "avx2", "generic".
std::vector<std::string_view> near_levels();

}  // namespace retort
