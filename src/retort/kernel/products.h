// Products of embeddings: of a step's side information, and of all pairs of fields.
#pragma once

#include <cstdint>
#include <span>

#include "retort/kernel/pool.h"

namespace retort {

/// out[s, d] *= table(ids[s], d). Shapes: ids [S], out [S, dim].
/// Throws ArgumentError on an id outside the table or sizes that do not fit.
void multiply_rows(const RowTable& table, std::span<const int32_t> ids, std::span<float> out);

/// out[r] = the sum of steps [offsets[r], offsets[r + 1]), zeros for none; row r is written to
/// out[r * out_stride .. + dim). Shapes: steps [S, dim], offsets [R + 1].
/// Throws ArgumentError if sizes do not fit.
void sum_steps(std::span<const float> steps, std::span<const int32_t> offsets, int64_t dim,
               std::span<float> out, int64_t out_stride);

/// <f_i, f_j> for i < j in the order (1,2), (1,3) .. (F-1,F); row r is written to
/// out[r * out_stride .. + F (F - 1) / 2). Shape: fields [F, R, dim].
/// Throws ArgumentError if sizes do not fit. Source: PNN, Qu et al., ICDM 2016 (inner product).
void pair_products(std::span<const float> fields, int64_t count, int64_t dim, std::span<float> out,
                   int64_t out_stride);
/// d_fields from the gradients d_out of the products.
/// Shapes: fields and d_fields [F, R, dim], d_out [R, F (F - 1) / 2].
void pair_products_gradient(std::span<const float> fields, int64_t count, int64_t dim,
                            std::span<const float> d_out, std::span<float> d_fields);

}  // namespace retort
