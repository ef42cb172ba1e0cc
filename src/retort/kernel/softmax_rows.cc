#include "retort/kernel/softmax_rows.h"

#include <cstring>

// The bodies below are always inlined into one wrapper an instruction set, with vectors (a GCC
// extension) of as many floats as its registers hold.
namespace retort {
namespace {

#define RETORT_INLINE [[gnu::always_inline]] inline

#define RETORT_LANES(name, lanes)                                                               \
  struct name {                                                                                 \
    static constexpr int kLanes = lanes;                                                        \
    using Vec [[gnu::vector_size(4 * lanes), gnu::aligned(4), gnu::may_alias]] = float;         \
    using IntVec [[gnu::vector_size(4 * lanes), gnu::may_alias]] = uint32_t;                    \
    using ShortVec [[gnu::vector_size(2 * lanes), gnu::aligned(2), gnu::may_alias]] = uint16_t; \
  }
RETORT_LANES(Lanes4, 4);
RETORT_LANES(Lanes8, 8);
RETORT_LANES(Lanes16, 16);
#undef RETORT_LANES

template <class Lanes>
struct Rows {
  static constexpr int kLanes = Lanes::kLanes;
  using Vec = typename Lanes::Vec;
  using IntVec = typename Lanes::IntVec;
  using ShortVec = typename Lanes::ShortVec;

  RETORT_INLINE static Vec load(const float* from) { return *reinterpret_cast<const Vec*>(from); }
  RETORT_INLINE static void store(float* to, Vec value) { *reinterpret_cast<Vec*>(to) = value; }

  /// 2^x for x <= 1: a minimax polynomial of degree 6 (relative error 2e-9 before rounding) on the
  /// part beyond the nearest integer, which goes to the exponent. 0 below -126; NaN stays NaN.
  RETORT_INLINE static Vec exp2_of(Vec x) {
    constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: leaves the integer in the low bits
    const Vec shifted = x + kRound;
    const Vec part = x - (shifted - kRound);
    Vec power = part * 0.000153458124f + 0.00133999309f;
    power = power * part + 0.00961848907f;
    power = power * part + 0.0555032864f;
    power = power * part + 0.240226462f;
    power = power * part + 0.693147182f;
    power = power * part + 1.0f;
    const IntVec exponent = (__builtin_bit_cast(IntVec, shifted) << 23) + 0x3F800000;
    const IntVec value = __builtin_bit_cast(IntVec, power * __builtin_bit_cast(Vec, exponent));
    return __builtin_bit_cast(Vec, ~IntVec(x < -126.0f) & value);
  }

  RETORT_INLINE static float sum_of(Vec vector) {
    float lanes[kLanes];
    std::memcpy(lanes, &vector, sizeof(lanes));
    for (int half = kLanes / 2; half > 0; half /= 2)
      for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
    return lanes[0];
  }

  RETORT_INLINE static float max_of(Vec vector) {
    float lanes[kLanes];
    std::memcpy(lanes, &vector, sizeof(lanes));
    for (int lane = 1; lane < kLanes; ++lane)
      lanes[0] = lanes[lane] > lanes[0] ? lanes[lane] : lanes[0];
    return lanes[0];
  }

  RETORT_INLINE static void max_sum(float* x, const float* bias, float scale, int64_t n, float& max,
                                    float& sum) {
    Vec most = load(x) * scale + load(bias);
    for (int64_t i = 0; i < n; i += kLanes) {
      const Vec z = load(x + i) * scale + load(bias + i);
      store(x + i, z);
      most = z > most ? z : most;
    }
    max = max_of(most);
    Vec sums = {};
    for (int64_t i = 0; i < n; i += kLanes) sums += exp2_of(load(x + i) - max);
    sum = sum_of(sums);
  }

  RETORT_INLINE static Vec gradient_of(const float* x, const float* bias, float scale, float max,
                                       float coefficient) {
    const Vec z = load(x) * scale + load(bias);
    return coefficient * exp2_of(z - max);
  }

  RETORT_INLINE static void gradient(const float* x, const float* bias, float scale, float max,
                                     float coefficient, int64_t n, float* out) {
    for (int64_t i = 0; i < n; i += kLanes)
      store(out + i, gradient_of(x + i, bias + i, scale, max, coefficient));
  }

  /// To nearest even; a NaN becomes the quiet NaN, where rounding might make it infinite.
  RETORT_INLINE static ShortVec round_of(Vec value) {
    const IntVec bits = __builtin_bit_cast(IntVec, value);
    const IntVec rounded = bits + 0x7FFF + ((bits >> 16) & 1);
    const auto number = IntVec(value == value);
    return __builtin_convertvector(((rounded & number) | (~number & 0x7FC00000)) >> 16, ShortVec);
  }

  RETORT_INLINE static void gradient_bf16(const float* x, const float* bias, float scale, float max,
                                          float coefficient, int64_t n, Bf16* out) {
    for (int64_t i = 0; i < n; i += kLanes)
      *reinterpret_cast<ShortVec*>(out + i) =
          round_of(gradient_of(x + i, bias + i, scale, max, coefficient));
  }

  RETORT_INLINE static void round(const float* from, int64_t n, Bf16* to) {
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes)
      *reinterpret_cast<ShortVec*>(to + i) = round_of(load(from + i));
    if (i == n) return;
    float rest[kLanes] = {};
    std::memcpy(rest, from + i, static_cast<size_t>(n - i) * sizeof(float));
    const ShortVec rounded = round_of(load(rest));
    std::memcpy(to + i, &rounded, static_cast<size_t>(n - i) * sizeof(Bf16));
  }
};

#define RETORT_KERNELS(isa, lanes, attribute)                                                   \
  attribute void max_sum_##isa(float* x, const float* bias, float scale, int64_t n, float& max, \
                               float& sum) {                                                    \
    Rows<lanes>::max_sum(x, bias, scale, n, max, sum);                                          \
  }                                                                                             \
  attribute void gradient_##isa(const float* x, const float* bias, float scale, float max,      \
                                float coefficient, int64_t n, float* out) {                     \
    Rows<lanes>::gradient(x, bias, scale, max, coefficient, n, out);                            \
  }                                                                                             \
  attribute void gradient_bf16_##isa(const float* x, const float* bias, float scale, float max, \
                                     float coefficient, int64_t n, Bf16* out) {                 \
    Rows<lanes>::gradient_bf16(x, bias, scale, max, coefficient, n, out);                       \
  }                                                                                             \
  attribute void round_##isa(const float* from, int64_t n, Bf16* to) {                          \
    Rows<lanes>::round(from, n, to);                                                            \
  }                                                                                             \
  constexpr SoftmaxRowKernels kernels_##isa{#isa, max_sum_##isa, gradient_##isa,                \
                                            gradient_bf16_##isa, round_##isa};

RETORT_KERNELS(generic, Lanes4, )
#if defined(__x86_64__)
RETORT_KERNELS(avx2, Lanes8, [[gnu::target("avx2,fma")]])
RETORT_KERNELS(avx512, Lanes16, [[gnu::target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]])
#endif
#undef RETORT_KERNELS
#undef RETORT_INLINE

}  // namespace

std::vector<const SoftmaxRowKernels*> all_softmax_row_kernels() {
  std::vector<const SoftmaxRowKernels*> all{&kernels_generic};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) all.push_back(&kernels_avx2);
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
