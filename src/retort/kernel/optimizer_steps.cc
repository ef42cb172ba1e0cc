#include "retort/kernel/optimizer_steps.h"

#include <bit>
#include <cmath>

#include "retort/kernel/clones.h"

namespace retort {

RETORT_CLONES void adam_run(float* __restrict value, const float* __restrict gradient,
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
