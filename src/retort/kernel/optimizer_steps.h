// The arithmetic of optimizer steps on runs of fp32 values, and the rounding that lets bf16 tables
// learn. Used by nn/.
#pragma once

#include <cstdint>

#include "retort/kernel/bf16.h"

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

/// Row-wise Adagrad on one row: sum += mean(g^2);  value = keep value - rate g / (sqrt(sum) +
/// epsilon). One number of state a row instead of two a value.
/// Source: Naumov et al., DLRM, 2019, sec. 4; Duchi et al., JMLR 2011.
void adagrad_row(float* value, const float* gradient, int64_t size, float rate, float keep,
                 float epsilon, float& sum);

/// Rounds up or down at random, so that the mean is the value: a step smaller than a bf16's last
/// place is not lost. `key` and the place decide, nothing else.
/// Source: Gupta et al., Deep Learning with Limited Numerical Precision, ICML 2015.
void round_stochastic(const float* values, int64_t size, uint64_t key, Bf16* to);

}  // namespace retort
