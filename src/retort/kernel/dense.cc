#include "retort/kernel/dense.h"

#include <algorithm>
#include <cstring>

#include "retort/common/error.h"
#include "retort/common/thread_pool.h"

// The bodies below are always inlined into one wrapper an instruction set; vectors of 16 floats
// are a GCC extension that the compiler splits into registers of the target's width.
namespace retort {
namespace {

constexpr int64_t kPanel = PackedMatrix::kPanel;
using Vec [[gnu::vector_size(64), gnu::aligned(4), gnu::may_alias]] = float;

/// Products of kRows rows of x with the 16 rows of one panel, bias and ReLU applied; `width` of
/// the 16 are written.
template <int kRows>
[[gnu::always_inline]] inline void panel_product(const float* x, int64_t in, const float* panel,
                                                 const float* bias, bool relu, float* out,
                                                 int64_t out_stride, int64_t width) {
  Vec sums[kRows] = {};
  for (int64_t c = 0; c < in; ++c) {
    const Vec column = *reinterpret_cast<const Vec*>(panel + c * kPanel);
    for (int r = 0; r < kRows; ++r) sums[r] += x[r * in + c] * column;
  }
  for (int r = 0; r < kRows; ++r) {
    float values[kPanel];
    std::memcpy(values, &sums[r], sizeof(values));
    for (int64_t w = 0; w < width; ++w) {
      const float value = values[w] + (bias != nullptr ? bias[w] : 0.0f);
      out[r * out_stride + w] = relu ? std::max(value, 0.0f) : value;
    }
  }
}

struct DenseTask {
  const float* x;
  const PackedMatrix* weight;
  const float* bias;  // nullptr: none
  bool relu;
  float* out;
};

/// Rows [begin, end) of x against panels [first, last).
[[gnu::always_inline]] inline void dense_body(const DenseTask& task, int64_t begin, int64_t end,
                                              int64_t first, int64_t last) {
  constexpr int kRows = 6;
  const int64_t in = task.weight->cols(), width = task.weight->rows();
  for (int64_t p = first; p < last; ++p) {
    const float* panel = task.weight->panel(p);
    const int64_t lane = p * kPanel, lanes = std::min(kPanel, width - lane);
    const float* bias = task.bias != nullptr ? task.bias + lane : nullptr;
    int64_t row = begin;
    for (; row + kRows <= end; row += kRows)
      panel_product<kRows>(task.x + row * in, in, panel, bias, task.relu,
                           task.out + row * width + lane, width, lanes);
    for (; row < end; ++row)
      panel_product<1>(task.x + row * in, in, panel, bias, task.relu, task.out + row * width + lane,
                       width, lanes);
  }
}

/// Two chains of 16 partial sums, added pairwise at the end.
[[gnu::always_inline]] inline float dot_body(const float* a, const float* b, int64_t n) {
  Vec even = {}, odd = {};
  int64_t i = 0;
  for (; i + 2 * kPanel <= n; i += 2 * kPanel) {
    even += *reinterpret_cast<const Vec*>(a + i) * *reinterpret_cast<const Vec*>(b + i);
    odd += *reinterpret_cast<const Vec*>(a + i + kPanel) *
           *reinterpret_cast<const Vec*>(b + i + kPanel);
  }
  even += odd;
  for (; i + kPanel <= n; i += kPanel)
    even += *reinterpret_cast<const Vec*>(a + i) * *reinterpret_cast<const Vec*>(b + i);
  float lanes[kPanel];
  std::memcpy(lanes, &even, sizeof(lanes));
  for (; i < n; ++i) lanes[i % kPanel] += a[i] * b[i];
  for (int64_t half = kPanel / 2; half > 0; half /= 2)
    for (int64_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  return lanes[0];
}

[[gnu::always_inline]] inline void dots_body(const float* query, const float* items, int64_t count,
                                             int64_t dim, float* scores) {
  for (int64_t i = 0; i < count; ++i) scores[i] = dot_body(query, items + i * dim, dim);
}

struct Kernels {
  const char* isa;
  void (*dense)(const DenseTask&, int64_t, int64_t, int64_t, int64_t);
  float (*dot)(const float*, const float*, int64_t);
  void (*dots)(const float*, const float*, int64_t, int64_t, float*);
};

#define RETORT_KERNELS(isa, attribute)                                                          \
  attribute void dense_##isa(const DenseTask& task, int64_t begin, int64_t end, int64_t first,  \
                             int64_t last) {                                                    \
    dense_body(task, begin, end, first, last);                                                  \
  }                                                                                             \
  attribute float dot_##isa(const float* a, const float* b, int64_t n) {                        \
    return dot_body(a, b, n);                                                                   \
  }                                                                                             \
  attribute void dots_##isa(const float* query, const float* items, int64_t count, int64_t dim, \
                            float* scores) {                                                    \
    dots_body(query, items, count, dim, scores);                                                \
  }                                                                                             \
  constexpr Kernels kernels_##isa{#isa, dense_##isa, dot_##isa, dots_##isa};

RETORT_KERNELS(generic, )
#if defined(__x86_64__)
RETORT_KERNELS(avx2, [[gnu::target("avx2,fma")]])
RETORT_KERNELS(avx512, [[gnu::target("avx512f,avx2,fma")]])
#endif
#undef RETORT_KERNELS

const Kernels& kernels() {
#if defined(__x86_64__)
  static const Kernels& chosen = __builtin_cpu_supports("avx512f") ? kernels_avx512
                                 : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
                                     ? kernels_avx2
                                     : kernels_generic;
  return chosen;
#else
  return kernels_generic;
#endif
}

/// Rows or items a piece of parallel work should have, so that a piece is about a million
/// multiplications: smaller ones cost more to hand out than to do.
int64_t grain_of(int64_t multiplications_each) {
  return std::max<int64_t>(1, (int64_t{1} << 20) / std::max<int64_t>(1, multiplications_each));
}

/// Rows of x taken through all panels before the next: they stay in the second-level cache.
int64_t rows_in_cache(int64_t in) {
  return std::max<int64_t>(6, int64_t{48} * 1024 / (in + 1) / 6 * 6);
}

void run_dense(const DenseTask& task, int64_t rows) {
  const PackedMatrix& weight = *task.weight;
  const int64_t block = rows_in_cache(weight.cols());
  const auto rows_piece = [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row += block)
      kernels().dense(task, row, std::min(end, row + block), 0, weight.panels());
  };
  if (rows >= weight.panels()) {
    parallel_for(0, rows, grain_of(weight.rows() * weight.cols()), rows_piece);
  } else {
    parallel_for(0, weight.panels(), grain_of(rows * weight.cols() * kPanel),
                 [&](int64_t first, int64_t last) { kernels().dense(task, 0, rows, first, last); });
  }
}

}  // namespace

PackedMatrix::PackedMatrix(std::span<const float> matrix, int64_t rows, int64_t cols)
    : rows_(rows), cols_(cols) {
  check(rows >= 0 && cols >= 0 && static_cast<int64_t>(matrix.size()) == rows * cols,
        "matrix of {} floats is not [{}, {}]", matrix.size(), rows, cols);
  values_.assign(static_cast<size_t>(panels() * cols * kPanel), 0.0f);
  for (int64_t row = 0; row < rows; ++row) {
    float* target = values_.data() + (row / kPanel) * cols * kPanel + row % kPanel;
    const float* source = matrix.data() + row * cols;
    for (int64_t col = 0; col < cols; ++col) target[col * kPanel] = source[col];
  }
}

void dense_forward(std::span<const float> x, const PackedMatrix& weight,
                   std::span<const float> bias, bool relu, std::span<float> out) {
  const int64_t in = weight.cols(), width = weight.rows();
  check(in > 0 && width > 0, "dense_forward: weight is [{}, {}]", width, in);
  const int64_t rows = static_cast<int64_t>(x.size()) / in;
  check(static_cast<int64_t>(x.size()) == rows * in, "dense_forward: x of {} floats is not [R, {}]",
        x.size(), in);
  check(static_cast<int64_t>(out.size()) == rows * width,
        "dense_forward: output of {} floats is not [{}, {}]", out.size(), rows, width);
  check(bias.empty() || static_cast<int64_t>(bias.size()) == width,
        "dense_forward: bias of {} floats, expected {}", bias.size(), width);
  run_dense({x.data(), &weight, bias.empty() ? nullptr : bias.data(), relu, out.data()}, rows);
}

void dense_forward(std::span<const float> x, std::span<const float> weight, int64_t in_width,
                   int64_t out_width, std::span<const float> bias, bool relu,
                   std::span<float> out) {
  dense_forward(x, PackedMatrix(weight, out_width, in_width), bias, relu, out);
}

void dot_block(std::span<const float> queries, const PackedMatrix& items, std::span<float> scores) {
  if (items.rows() == 0) return;
  dense_forward(queries, items, {}, false, scores);
}

void dot_block(std::span<const float> queries, std::span<const float> items, int64_t dim,
               std::span<float> scores) {
  check(dim > 0, "dot_block: dimension {}", dim);
  const int64_t query_count = static_cast<int64_t>(queries.size()) / dim;
  const int64_t item_count = static_cast<int64_t>(items.size()) / dim;
  check(query_count * dim == static_cast<int64_t>(queries.size()) &&
            item_count * dim == static_cast<int64_t>(items.size()),
        "dot_block: {} and {} floats are not rows of {}", queries.size(), items.size(), dim);
  check(static_cast<int64_t>(scores.size()) == query_count * item_count,
        "dot_block: {} scores, expected [{}, {}]", scores.size(), query_count, item_count);
  constexpr int64_t kWorthPacking = 8;
  if (query_count >= kWorthPacking) {
    dot_block(queries, PackedMatrix(items, item_count, dim), scores);
    return;
  }
  parallel_for(0, item_count, grain_of(dim * query_count), [&](int64_t begin, int64_t end) {
    for (int64_t q = 0; q < query_count; ++q)
      kernels().dots(queries.data() + q * dim, items.data() + begin * dim, end - begin, dim,
                     scores.data() + q * item_count + begin);
  });
}

float dot(const float* a, const float* b, int64_t n) { return kernels().dot(a, b, n); }

const char* kernel_isa() { return kernels().isa; }

}  // namespace retort
