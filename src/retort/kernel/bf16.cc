#include "retort/kernel/bf16.h"

#include <algorithm>
#include <bit>
#include <vector>

#include <omp.h>

#include "retort/kernel/clones.h"

namespace retort {
namespace {

[[gnu::always_inline]] inline Bf16 rounded(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t nearest = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
  // A NaN must not round up to infinity.
  return static_cast<Bf16>(value != value ? (bits >> 16) | 0x40 : nearest);
}

[[gnu::always_inline]] inline float wide(Bf16 value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value) << 16);
}

RETORT_CLONES void round_run(const float* from, int64_t size, Bf16* to) {
  for (int64_t i = 0; i < size; ++i) to[i] = rounded(from[i]);
}

RETORT_CLONES void widen_run(const Bf16* from, int64_t size, float* to) {
  for (int64_t i = 0; i < size; ++i) to[i] = wide(from[i]);
}

RETORT_CLONES void mask_run(const Bf16* output, const Bf16* gradient, int64_t size, Bf16* to) {
  // As integers of 16 bits, exactly the positive bf16 numbers are above 0.
  for (int64_t i = 0; i < size; ++i)
    to[i] = gradient[i] & static_cast<Bf16>(-static_cast<int>(static_cast<int16_t>(output[i]) > 0));
}

/// 0 if all exponents are below the highest.
RETORT_CLONES int nonfinite_run(const Bf16* values, int64_t size) {
  constexpr int kExponent = 0x7F80;
  int16_t found = 0;
  for (int64_t i = 0; i < size; ++i)
    found |= static_cast<int16_t>((values[i] & kExponent) == kExponent);
  return found;
}

RETORT_CLONES void add_run(const float* from, int64_t size, float* sum) {
  for (int64_t i = 0; i < size; ++i) sum[i] += from[i];
}

RETORT_CLONES void scale_run(const float* from, int64_t size, float scale, Bf16* to) {
  for (int64_t i = 0; i < size; ++i) to[i] = rounded(scale * from[i]);
}

/// sums = `count` rows of `width` values, `stride` apart, added up.
RETORT_CLONES void column_run(const Bf16* rows, int64_t count, int64_t stride, int64_t width,
                              float* sums) {
  std::fill_n(sums, width, 0.0F);
  for (int64_t row = 0; row < count; ++row)
    for (int64_t c = 0; c < width; ++c) sums[c] += wide(rows[row * stride + c]);
}

RETORT_CLONES void weighted_run(float factor, const Bf16* from, int64_t size, float* sum) {
  for (int64_t i = 0; i < size; ++i) sum[i] += factor * wide(from[i]);
}

/// to = factor * dout; the result is <dout, part>, in 16 sums side by side.
RETORT_CLONES float gate_run(float factor, const Bf16* dout, const Bf16* part, int64_t size,
                             Bf16* to) {
  constexpr int64_t kLanes = 16;
  float sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane)
      sums[lane] += wide(dout[i + lane]) * wide(part[i + lane]);
  for (; i < size; ++i) sums[0] += wide(dout[i]) * wide(part[i]);
  float product = 0;
  for (const float sum : sums) product += sum;
  for (i = 0; i < size; ++i) to[i] = rounded(factor * wide(dout[i]));
  return product;
}

/// work(begin, end) over `rows` rows of `width` values, on OpenMP's threads (oneDNN's and torch's)
/// where there is enough of it.
template <class Work>
void in_runs(int64_t rows, int64_t width, const Work& work) {
  constexpr int64_t kValues = 1 << 16;  // worth a thread
  const int64_t runs = std::min<int64_t>(omp_get_max_threads(), rows * width / kValues);
  if (runs <= 1) return work(0, rows);
#pragma omp parallel for num_threads(static_cast <int>(runs)) schedule(static)
  for (int64_t run = 0; run < runs; ++run) work(rows * run / runs, rows * (run + 1) / runs);
}

}  // namespace

void to_bf16(const float* from, int64_t rows, int64_t cols, int64_t stride, Bf16* to,
             int64_t padded) {
  in_runs(rows, padded, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      Bf16* out = to + row * padded;
      round_run(from + row * stride, cols, out);
      std::fill(out + cols, out + padded, Bf16{0});
    }
  });
}

void to_float(const Bf16* from, int64_t size, float* to) {
  in_runs(size, 1,
          [&](int64_t begin, int64_t end) { widen_run(from + begin, end - begin, to + begin); });
}

void relu_backward(const Bf16* output, const Bf16* gradient, int64_t size, Bf16* to) {
  in_runs(size, 1, [&](int64_t begin, int64_t end) {
    mask_run(output + begin, gradient + begin, end - begin, to + begin);
  });
}

bool all_finite(const Bf16* values, int64_t size) { return nonfinite_run(values, size) == 0; }

void sum_rows(const float* weight, int64_t dim, const int64_t* ids, int64_t count, float scale,
              Bf16* to) {
  if (count == 1) return scale_run(weight + ids[0] * dim, dim, scale, to);
  thread_local std::vector<float> sum;
  sum.assign(static_cast<size_t>(dim), 0.0F);
  for (int64_t k = 0; k < count; ++k) add_run(weight + ids[k] * dim, dim, sum.data());
  scale_run(sum.data(), dim, scale, to);
}

void sum_rows(const Bf16* weight, int64_t dim, const int64_t* ids, int64_t count, float scale,
              Bf16* to) {
  thread_local std::vector<float> sum;
  sum.assign(static_cast<size_t>(dim), 0.0F);
  for (int64_t k = 0; k < count; ++k) weighted_run(1, weight + ids[k] * dim, dim, sum.data());
  scale_run(sum.data(), dim, scale, to);
}

void sum_groups(const Bf16* rows, const int64_t* owner, int64_t row_count, int64_t groups,
                int64_t width, Bf16* sums) {
  in_runs(groups, width, [&](int64_t first, int64_t last) {
    std::vector<float> sum(static_cast<size_t>(width));
    int64_t begin = std::lower_bound(owner, owner + row_count, first) - owner;
    for (int64_t group = first; group < last; ++group) {
      int64_t end = begin;
      while (end < row_count && owner[end] == group) ++end;
      column_run(rows + begin * width, end - begin, width, width, sum.data());
      scale_run(sum.data(), width, 1, sums + group * width);
      begin = end;
    }
  });
}

void column_sums(const Bf16* rows, int64_t row_count, int64_t width, float* sums) {
  // Each sum is made by one thread, in the rows' order.
  in_runs(width, row_count, [&](int64_t begin, int64_t end) {
    column_run(rows + begin, row_count, width, end - begin, sums + begin);
  });
}

void gated_sum(const float* gate, const Bf16* const* parts, int64_t rows, int64_t count,
               int64_t width, Bf16* out) {
  in_runs(rows, width * count, [&](int64_t begin, int64_t end) {
    std::vector<float> sum(static_cast<size_t>(width));
    for (int64_t row = begin; row < end; ++row) {
      std::fill(sum.begin(), sum.end(), 0.0F);
      for (int64_t k = 0; k < count; ++k)
        weighted_run(gate[row * count + k], parts[k] + row * width, width, sum.data());
      scale_run(sum.data(), width, 1, out + row * width);
    }
  });
}

void gated_sum_backward(const float* gate, const Bf16* const* parts, const Bf16* dout, int64_t rows,
                        int64_t count, int64_t width, float* dgate, Bf16* const* dparts) {
  in_runs(rows, width * count, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin * count; at < end * count; ++at) {
      const int64_t row = at / count, k = at % count;
      dgate[at] = gate_run(gate[at], dout + row * width, parts[k] + row * width, width,
                           dparts[k] + row * width);
    }
  });
}

}  // namespace retort
