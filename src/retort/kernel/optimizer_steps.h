// The arithmetic of an Adam step on a run of fp32 values. Used by nn/adam.
#pragma once

#include <cstdint>

namespace retort {

struct AdamFactors {
  float beta1, rest1;  // beta1, 1 - beta1
  float beta2, rest2;
  float epsilon;
  float rate;   // learning rate / (1 - beta1^t)
  float root;   // 1 / sqrt(1 - beta2^t)
  float keep;   // 1 - learning rate * decoupled decay
  float scale;  // of the gradient
};

/// For each of `size` values, with g = scale * gradient:
///   m = beta1 m + rest1 g;  v = beta2 v + rest2 g^2;  value = keep value - rate m / (sqrt(v) root
///   + epsilon)
/// The four arrays do not overlap.
void adam_run(float* value, const float* gradient, float* m, float* v, int64_t size,
              const AdamFactors& factors);

}  // namespace retort
