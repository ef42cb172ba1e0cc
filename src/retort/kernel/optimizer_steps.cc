#include "retort/kernel/optimizer_steps.h"

#include <bit>
#include <cmath>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "retort/kernel/clones.h"

namespace retort {

namespace {

RETORT_CLONES void adam_plain(float* __restrict value, const float* __restrict gradient,
                              float* __restrict m, float* __restrict v, int64_t size,
                              const AdamFactors& factors) {
  const AdamFactors f = factors;
  for (int64_t i = 0; i < size; ++i) {
    const float g = gradient[i] * f.scale;
    m[i] = f.beta1 * m[i] + f.rest1 * g;
    v[i] = f.beta2 * v[i] + f.rest2 * g * g;
    value[i] = value[i] * f.keep - f.rate * m[i] / (std::sqrt(v[i]) * f.root + f.epsilon);
  }
}

#if defined(__x86_64__)
// Rows of embeddings are short: lanes behind their end are masked, not looped over.
[[gnu::target("avx512f")]] void adam_avx512(float* value, const float* gradient, float* m, float* v,
                                            int64_t size, const AdamFactors& f) {
  const __m512 scale = _mm512_set1_ps(f.scale), beta1 = _mm512_set1_ps(f.beta1),
               beta2 = _mm512_set1_ps(f.beta2), rest1 = _mm512_set1_ps(f.rest1),
               rest2 = _mm512_set1_ps(f.rest2), rate = _mm512_set1_ps(f.rate),
               root = _mm512_set1_ps(f.root), keep = _mm512_set1_ps(f.keep),
               epsilon = _mm512_set1_ps(f.epsilon);
  for (int64_t i = 0; i < size; i += 16) {
    const auto lanes = static_cast<__mmask16>(size - i >= 16 ? 0xFFFF : (1 << (size - i)) - 1);
    const __m512 g = _mm512_mul_ps(_mm512_maskz_loadu_ps(lanes, gradient + i), scale);
    const __m512 new_m = _mm512_fmadd_ps(beta1, _mm512_maskz_loadu_ps(lanes, m + i), rest1 * g);
    const __m512 new_v = _mm512_fmadd_ps(beta2, _mm512_maskz_loadu_ps(lanes, v + i), rest2 * g * g);
    const __m512 divisor = _mm512_fmadd_ps(_mm512_sqrt_ps(new_v), root, epsilon);
    const __m512 before = _mm512_maskz_loadu_ps(lanes, value + i);
    _mm512_mask_storeu_ps(m + i, lanes, new_m);
    _mm512_mask_storeu_ps(v + i, lanes, new_v);
    _mm512_mask_storeu_ps(value + i, lanes,
                          _mm512_fmsub_ps(before, keep, _mm512_div_ps(rate * new_m, divisor)));
  }
}
#endif

}  // namespace

void adam_run(float* value, const float* gradient, float* m, float* v, int64_t size,
              const AdamFactors& factors) {
#if defined(__x86_64__)
  static const bool wide = __builtin_cpu_supports("avx512f");
  if (wide) return adam_avx512(value, gradient, m, v, size, factors);
#endif
  adam_plain(value, gradient, m, v, size, factors);
}

void adagrad_row(float* value, const float* gradient, int64_t size, float rate, float keep,
                 float epsilon, float& sum) {
  float squares = 0;
  for (int64_t i = 0; i < size; ++i) squares += gradient[i] * gradient[i];
  sum += squares / static_cast<float>(size);
  const float step = rate / (std::sqrt(sum) + epsilon);
  for (int64_t i = 0; i < size; ++i) value[i] = keep * value[i] - step * gradient[i];
}

RETORT_CLONES void round_stochastic(const float* values, int64_t size, uint64_t key, Bf16* to) {
  for (int64_t i = 0; i < size; ++i) {
    // SplitMix64's mixing of a counter.
    uint64_t x = key + static_cast<uint64_t>(i) * 0x9E3779B97F4A7C15;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
    const auto bits = std::bit_cast<uint32_t>(values[i]);
    const bool finite = (bits & 0x7F800000) != 0x7F800000;
    to[i] = static_cast<Bf16>((finite ? bits + static_cast<uint32_t>(x >> 48) : bits) >> 16);
  }
}

}  // namespace retort
