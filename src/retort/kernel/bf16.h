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

/// One row of embeddings: to[d] = scale * sum of weight[ids[k] * dim + d] over k < count.
void sum_rows(const float* weight, int64_t dim, const int64_t* ids, int64_t count, float scale,
              Bf16* to);
void sum_rows(const Bf16* weight, int64_t dim, const int64_t* ids, int64_t count, float scale,
              Bf16* to);

/// sums[owner[r], c] = sum of rows[r, c], over the rows of an owner, which lie side by side, in
/// their order. Shapes: rows [R, width], owner [R] ascending in [0, G), sums [G, width].
void sum_groups(const Bf16* rows, const int64_t* owner, int64_t row_count, int64_t groups,
                int64_t width, Bf16* sums);

/// sums[c] = sum of rows[r, c] over r. Shapes: rows [R, width], sums [width].
void column_sums(const Bf16* rows, int64_t row_count, int64_t width, float* sums);

/// out[r, c] = sum over k of gate[r, k] * parts[k][r, c]. Shapes: gate [R, K], parts K of [R, C].
void gated_sum(const float* gate, const Bf16* const* parts, int64_t rows, int64_t count,
               int64_t width, Bf16* out);
/// Its derivatives: dparts[k][r, c] = gate[r, k] * dout[r, c]; dgate[r, k] = <dout[r],
/// parts[k][r]>.
void gated_sum_backward(const float* gate, const Bf16* const* parts, const Bf16* dout, int64_t rows,
                        int64_t count, int64_t width, float* dgate, Bf16* const* dparts);

}  // namespace retort
