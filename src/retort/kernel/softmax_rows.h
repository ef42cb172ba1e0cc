// What softmax over a catalogue does to one row of a tile of logits: maximum and sum of
// exponentials, and the gradient. One table of functions an instruction set, chosen at run time.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "retort/kernel/bf16.h"

namespace retort {

/// Logits are in base 2: z = x * scale + bias, with scale = log2(e) / temperature. All lengths are
/// multiples of 16. Sums run in a fixed order.
struct SoftmaxRowKernels {
  const char* isa;
  /// max = max z, sum = sum 2^(z - max). Overwrites x by z.
  void (*max_sum)(float* x, const float* bias, float scale, int64_t n, float& max, float& sum);
  /// out = coefficient * 2^(z - max), which must not overflow (max is that of max_sum or above).
  void (*gradient)(const float* x, const float* bias, float scale, float max, float coefficient,
                   int64_t n, float* out);
  void (*gradient_bf16)(const float* x, const float* bias, float scale, float max,
                        float coefficient, int64_t n, Bf16* out);
  /// to = from, rounded to nearest even; any length.
  void (*round)(const float* from, int64_t n, Bf16* to);
};

/// A logit that counts for nothing: 2^(kNoLogit * scale - max) is exactly 0 for any finite max.
constexpr float kNoLogit = -1e30f;

/// The best table for this processor.
const SoftmaxRowKernels& softmax_row_kernels();
/// All that this processor can run, "generic" first.
std::vector<const SoftmaxRowKernels*> all_softmax_row_kernels();

}  // namespace retort
