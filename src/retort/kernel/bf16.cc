#include "retort/kernel/bf16.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "retort/kernel/clones.h"
#include "retort/kernel/runs.h"

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

/// sum += from where the output is above 0.
RETORT_CLONES void masked_run(const Bf16* output, const Bf16* from, int64_t size, float* sum) {
  for (int64_t i = 0; i < size; ++i)
    sum[i] += static_cast<int16_t>(output[i]) > 0 ? wide(from[i]) : 0.0F;
}

RETORT_CLONES void weighted_run(float factor, const Bf16* from, int64_t size, float* sum) {
  for (int64_t i = 0; i < size; ++i) sum[i] += factor * wide(from[i]);
}

RETORT_CLONES void add_both(const Bf16* from, int64_t size, Bf16* to) {
  for (int64_t i = 0; i < size; ++i) to[i] = rounded(wide(from[i]) + wide(to[i]));
}

/// <a, b>, in 16 sums side by side.
RETORT_CLONES float dot_run(const Bf16* a, const Bf16* b, int64_t size) {
  constexpr int64_t kLanes = 16;
  float sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane)
      sums[lane] += wide(a[i + lane]) * wide(b[i + lane]);
  for (; i < size; ++i) sums[0] += wide(a[i]) * wide(b[i]);
  float product = 0;
  for (const float sum : sums) product += sum;
  return product;
}

/// gate = softmax(logits), `count` of each.
void softmax_run(const float* logits, int64_t count, float* gate) {
  const float most = *std::max_element(logits, logits + count);
  float sum = 0;
  for (int64_t k = 0; k < count; ++k) sum += gate[k] = std::exp(logits[k] - most);
  for (int64_t k = 0; k < count; ++k) gate[k] /= sum;
}

constexpr int64_t kValues = 1 << 15;  // worth a thread

int64_t rows_worth(int64_t width) {
  return std::max<int64_t>(1, kValues / std::max<int64_t>(1, width));
}

}  // namespace

void to_bf16(const float* from, int64_t rows, int64_t cols, int64_t stride, Bf16* to,
             int64_t padded) {
  in_runs(rows, rows_worth(padded), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      Bf16* out = to + row * padded;
      round_run(from + row * stride, cols, out);
      std::fill(out + cols, out + padded, Bf16{0});
    }
  });
}

void to_float(const Bf16* from, int64_t size, float* to) {
  in_runs(size, rows_worth(1),
          [&](int64_t begin, int64_t end) { widen_run(from + begin, end - begin, to + begin); });
}

void relu_backward(const Bf16* output, const Bf16* gradient, int64_t size, Bf16* to) {
  in_runs(size, rows_worth(1), [&](int64_t begin, int64_t end) {
    mask_run(output + begin, gradient + begin, end - begin, to + begin);
  });
}

void add_to(const Bf16* from, int64_t size, Bf16* to) {
  in_runs(size, rows_worth(1),
          [&](int64_t begin, int64_t end) { add_both(from + begin, end - begin, to + begin); });
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

void sum_groups(const Bf16* rows, const Bf16* output, const int64_t* owner, int64_t row_count,
                int64_t groups, int64_t width, Bf16* sums) {
  in_runs(groups, rows_worth(width), [&](int64_t first, int64_t last) {
    std::vector<float> sum(static_cast<size_t>(width));
    int64_t begin = std::lower_bound(owner, owner + row_count, first) - owner;
    for (int64_t group = first; group < last; ++group) {
      int64_t end = begin;
      while (end < row_count && owner[end] == group) ++end;
      if (output == nullptr) {
        column_run(rows + begin * width, end - begin, width, width, sum.data());
      } else {
        std::fill(sum.begin(), sum.end(), 0.0F);
        for (int64_t at = begin * width; at < end * width; at += width)
          masked_run(output + at, rows + at, width, sum.data());
      }
      scale_run(sum.data(), width, 1, sums + group * width);
      begin = end;
    }
  });
}

void column_sums(const Bf16* rows, int64_t row_count, int64_t width, float* sums) {
  // Each sum is made by one thread, in the rows' order.
  in_runs(width, rows_worth(row_count), [&](int64_t begin, int64_t end) {
    column_run(rows + begin, row_count, width, end - begin, sums + begin);
  });
}

void gated_sums(const float* logits, const Bf16* const* parts, const GateSizes& sizes, float* gate,
                Bf16* const* out) {
  const int64_t count = sizes.experts, width = sizes.width, pairs = sizes.tasks * count;
  in_runs(sizes.rows, rows_worth(width * pairs), [&](int64_t begin, int64_t end) {
    std::vector<float> sum(static_cast<size_t>(width));
    for (int64_t row = begin; row < end; ++row)
      for (int64_t task = 0; task < sizes.tasks; ++task) {
        float* own = gate + row * pairs + task * count;
        softmax_run(logits + row * pairs + task * count, count, own);
        std::fill(sum.begin(), sum.end(), 0.0F);
        for (int64_t k = 0; k < count; ++k)
          weighted_run(own[k], parts[k] + row * width, width, sum.data());
        scale_run(sum.data(), width, 1, out[task] + row * width);
      }
  });
}

void gated_sums_backward(const float* gate, const Bf16* const* parts, const Bf16* const* dout,
                         const GateSizes& sizes, float* dlogits, Bf16* const* dparts) {
  const int64_t count = sizes.experts, width = sizes.width, pairs = sizes.tasks * count;
  in_runs(sizes.rows, rows_worth(2 * width * pairs), [&](int64_t begin, int64_t end) {
    std::vector<float> sum(static_cast<size_t>(width));
    for (int64_t row = begin; row < end; ++row) {
      const float* own = gate + row * pairs;
      for (int64_t k = 0; k < count; ++k) {
        std::fill(sum.begin(), sum.end(), 0.0F);
        for (int64_t task = 0; task < sizes.tasks; ++task)
          weighted_run(own[task * count + k], dout[task] + row * width, width, sum.data());
        scale_run(sum.data(), width, 1, dparts[k] + row * width);
      }
      for (int64_t task = 0; task < sizes.tasks; ++task) {
        const float* gates = own + task * count;
        float* to = dlogits + row * pairs + task * count;
        float mean = 0;
        for (int64_t k = 0; k < count; ++k) {
          to[k] = dot_run(dout[task] + row * width, parts[k] + row * width, width);
          mean += gates[k] * to[k];
        }
        for (int64_t k = 0; k < count; ++k) to[k] = gates[k] * (to[k] - mean);
      }
    }
  });
}

}  // namespace retort
