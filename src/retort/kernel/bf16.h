// Numbers of 16 bits with the exponent of a float, and the loops that training needs between its
// products of such numbers. Used by nn/.
#pragma once

#include <cstdint>

namespace retort {

/// A bf16 number as stored: the upper half of a float's bits.
using Bf16 = uint16_t;

/// to[r, c] = from[r * stride + c] for c < cols, 0 for cols <= c < padded; rounded to nearest even.
void to_bf16(const float* from, int64_t rows, int64_t cols, int64_t stride, Bf16* to,
             int64_t padded);
/// to[i] = from[i], exactly.
void to_float(const Bf16* from, int64_t size, float* to);

/// Whether no value is infinite or NaN.
bool all_finite(const Bf16* values, int64_t size);

/// to[i] = gradient[i] where the ReLU's output[i] is above 0, else 0. `to` may be `gradient`.
void relu_backward(const Bf16* output, const Bf16* gradient, int64_t size, Bf16* to);

/// to[i] = from[i] + to[i].
void add_to(const Bf16* from, int64_t size, Bf16* to);

/// One row of embeddings: to[d] = scale * sum of weight[ids[k] * dim + d] over k < count.
void sum_rows(const float* weight, int64_t dim, const int64_t* ids, int64_t count, float scale,
              Bf16* to);
void sum_rows(const Bf16* weight, int64_t dim, const int64_t* ids, int64_t count, float scale,
              Bf16* to);

/// sums[owner[r], c] = sum of rows[r, c], over the rows of an owner, which lie side by side, in
/// their order; with `output` (else nullptr) only where output[r, c] is above 0. Shapes: rows,
/// output [R, width], owner [R] ascending in [0, G), sums [G, width].
void sum_groups(const Bf16* rows, const Bf16* output, const int64_t* owner, int64_t row_count,
                int64_t groups, int64_t width, Bf16* sums);

/// sums[c] = sum of rows[r, c] over r. Shapes: rows [R, width], sums [width].
void column_sums(const Bf16* rows, int64_t row_count, int64_t width, float* sums);

/// Sizes of a mixture of experts for several tasks.
struct GateSizes {
  int64_t rows = 0, tasks = 0, experts = 0, width = 0;
};
/// gate[r, t, k] = softmax over k of logits[r, t, k]; out[t][r, c] = sum over k of gate[r, t, k] *
/// parts[k][r, c]. Shapes: logits, gate [R, T, K], parts K of [R, C], out T of [R, C].
void gated_sums(const float* logits, const Bf16* const* parts, const GateSizes& sizes, float* gate,
                Bf16* const* out);
/// Its derivatives, overwritten: dlogits [R, T, K], dparts K of [R, C].
void gated_sums_backward(const float* gate, const Bf16* const* parts, const Bf16* const* dout,
                         const GateSizes& sizes, float* dlogits, Bf16* const* dparts);

}  // namespace retort
