#include "retort/kernel/softmax_rows.h"

#include <bit>
#include <cstring>

// The bodies below are always inlined into one wrapper an instruction set; vectors of 16 floats
// are a GCC extension that the compiler splits into registers of the target's width.
namespace retort {
namespace {

constexpr int64_t kLanes = 16;
using Vec [[gnu::vector_size(64), gnu::aligned(4), gnu::may_alias]] = float;
using IntVec [[gnu::vector_size(64)]] = int32_t;
using ShortVec [[gnu::vector_size(32), gnu::aligned(2), gnu::may_alias]] = uint16_t;

#define RETORT_INLINE [[gnu::always_inline]] inline

RETORT_INLINE Vec load(const float* from) { return *reinterpret_cast<const Vec*>(from); }
RETORT_INLINE void store(float* to, Vec value) { *reinterpret_cast<Vec*>(to) = value; }

/// 2^x for x <= 1: a minimax polynomial of degree 6 (relative error 2e-9 before rounding) on the
/// part beyond the nearest integer, which goes to the exponent. 0 below -126; NaN stays NaN.
RETORT_INLINE Vec exp2_of(Vec x) {
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it leaves an integer in the low bits
  const Vec shifted = x + kRound;
  const Vec part = x - (shifted - kRound);
  Vec power = part * 0.000153458124f + 0.00133999309f;
  power = power * part + 0.00961848907f;
  power = power * part + 0.0555032864f;
  power = power * part + 0.240226462f;
  power = power * part + 0.693147182f;
  power = power * part + 1.0f;
  const auto exponent = (reinterpret_cast<const IntVec&>(shifted) << 23) + 0x3F800000;
  const Vec value = power * reinterpret_cast<const Vec&>(exponent);
  const IntVec kept = ~(x < -126.0f) & reinterpret_cast<const IntVec&>(value);
  return reinterpret_cast<const Vec&>(kept);
}

RETORT_INLINE float sum_of(Vec vector) {
  float lanes[kLanes];
  std::memcpy(lanes, &vector, sizeof(lanes));
  for (int64_t half = kLanes / 2; half > 0; half /= 2)
    for (int64_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  return lanes[0];
}

RETORT_INLINE void max_sum_body(float* x, const float* bias, float scale, int64_t n, float& max,
                                float& sum) {
  Vec most = load(x) * scale + load(bias);
  for (int64_t i = 0; i < n; i += kLanes) {
    const Vec z = load(x + i) * scale + load(bias + i);
    store(x + i, z);
    most = z > most ? z : most;
  }
  float lanes[kLanes];
  std::memcpy(lanes, &most, sizeof(lanes));
  max = lanes[0];
  for (int64_t lane = 1; lane < kLanes; ++lane) max = lanes[lane] > max ? lanes[lane] : max;
  Vec sums = {};
  for (int64_t i = 0; i < n; i += kLanes) sums += exp2_of(load(x + i) - max);
  sum = sum_of(sums);
}

RETORT_INLINE Vec gradient_of(const float* x, const float* bias, float scale, float max,
                              float coefficient) {
  const Vec z = load(x) * scale + load(bias);
  return coefficient * exp2_of(z - max);
}

RETORT_INLINE void gradient_body(const float* x, const float* bias, float scale, float max,
                                 float coefficient, int64_t n, float* out) {
  for (int64_t i = 0; i < n; i += kLanes)
    store(out + i, gradient_of(x + i, bias + i, scale, max, coefficient));
}

/// Rounds to nearest even; a NaN becomes the quiet NaN, where rounding might make it infinite.
RETORT_INLINE ShortVec round_of(Vec value) {
  const auto& bits = reinterpret_cast<const IntVec&>(value);
  const IntVec rounded = bits + 0x7FFF + ((bits >> 16) & 1);
  const IntVec safe = value == value ? rounded : IntVec{} + 0x7FC00000;
  return __builtin_convertvector(safe >> 16, ShortVec);
}

RETORT_INLINE void gradient_bf16_body(const float* x, const float* bias, float scale, float max,
                                      float coefficient, int64_t n, Bf16* out) {
  for (int64_t i = 0; i < n; i += kLanes)
    *reinterpret_cast<ShortVec*>(out + i) =
        round_of(gradient_of(x + i, bias + i, scale, max, coefficient));
}

RETORT_INLINE void round_body(const float* from, int64_t n, Bf16* to) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    *reinterpret_cast<ShortVec*>(to + i) = round_of(load(from + i));
  if (i == n) return;
  float rest[kLanes] = {};
  std::memcpy(rest, from + i, static_cast<size_t>(n - i) * sizeof(float));
  const ShortVec rounded = round_of(load(rest));
  std::memcpy(to + i, &rounded, static_cast<size_t>(n - i) * sizeof(Bf16));
}

#define RETORT_KERNELS(isa, attribute)                                                            \
  attribute void max_sum_##isa(float* x, const float* bias, float scale, int64_t n, float& max,   \
                               float& sum) {                                                      \
    max_sum_body(x, bias, scale, n, max, sum);                                                    \
  }                                                                                               \
  attribute void gradient_##isa(const float* x, const float* bias, float scale, float max,        \
                                float coefficient, int64_t n, float* out) {                       \
    gradient_body(x, bias, scale, max, coefficient, n, out);                                      \
  }                                                                                               \
  attribute void gradient_bf16_##isa(const float* x, const float* bias, float scale, float max,   \
                                     float coefficient, int64_t n, Bf16* out) {                   \
    gradient_bf16_body(x, bias, scale, max, coefficient, n, out);                                 \
  }                                                                                               \
  attribute void round_##isa(const float* from, int64_t n, Bf16* to) { round_body(from, n, to); } \
  constexpr SoftmaxRowKernels kernels_##isa{#isa, max_sum_##isa, gradient_##isa,                  \
                                            gradient_bf16_##isa, round_##isa};

RETORT_KERNELS(generic, )
#if defined(__x86_64__)
RETORT_KERNELS(avx2, [[gnu::target("avx2,fma")]])
RETORT_KERNELS(avx512, [[gnu::target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]])
#endif
#undef RETORT_KERNELS
#undef RETORT_INLINE

}  // namespace

std::vector<const SoftmaxRowKernels*> all_softmax_row_kernels() {
  std::vector<const SoftmaxRowKernels*> all{&kernels_generic};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    all.push_back(&kernels_avx2);
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
    all.push_back(&kernels_avx512);
#endif
  return all;
}

const SoftmaxRowKernels& softmax_row_kernels() {
  static const SoftmaxRowKernels& chosen = *all_softmax_row_kernels().back();
  return chosen;
}

}  // namespace retort
