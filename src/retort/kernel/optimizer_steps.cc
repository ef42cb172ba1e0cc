#include "retort/kernel/adam_run.h"

#include <cmath>

#include "retort/kernel/clones.h"

namespace retort {

[[gnu::target_clones(RETORT_CLONES)]] void adam_run(float* __restrict value,
                                                    const float* __restrict gradient,
                                                    float* __restrict m, float* __restrict v,
                                                    int64_t size, const AdamFactors& factors) {
  const AdamFactors f = factors;
  for (int64_t i = 0; i < size; ++i) {
    const float g = gradient[i] * f.scale;
    m[i] = f.beta1 * m[i] + f.rest1 * g;
    v[i] = f.beta2 * v[i] + f.rest2 * g * g;
    value[i] = value[i] * f.keep - f.rate * m[i] / (std::sqrt(v[i]) * f.root + f.epsilon);
  }
}

}  // namespace retort
