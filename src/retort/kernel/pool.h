// Embedding lookup: gathers rows of a table and pools them per bag.
#pragma once

#include <cstdint>
#include <span>

namespace retort {

enum class Pooling { kMean, kSum };

/// For each bag b = 0 .. B - 1: the mean or sum of the table's rows ids[offsets[b] ..
/// offsets[b + 1]); zeros for an empty bag. Row b is written to out[b * out_stride .. + dim), so
/// that several features fill one concatenated input.
/// Shapes: table [rows, dim], offsets [B + 1].
/// Throws ArgumentError on an id outside the table, offsets that fall or leave `ids`, or an output
/// that is too short.
void gather_pool(std::span<const float> table, int64_t dim, std::span<const int32_t> ids,
                 std::span<const int32_t> offsets, Pooling pooling, std::span<float> out,
                 int64_t out_stride);

}  // namespace retort
