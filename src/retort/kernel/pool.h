// Embedding lookup: gathers rows of a table and pools them per bag.
#pragma once

#include <cstdint>
#include <span>

#include "retort/kernel/bf16.h"

namespace retort {

enum class Pooling { kMean, kSum };

/// A table of embeddings as stored, not owned. Exactly one of the pointers is set; int8 rows are
/// multiplied by their scale.
struct RowTable {
  int64_t rows = 0, dim = 0;
  const float* floats = nullptr;  // [rows, dim]
  const Bf16* bf16 = nullptr;     // [rows, dim]
  const int8_t* int8 = nullptr;   // [rows, dim]
  const float* scales = nullptr;  // [rows], with int8
  /// to[d] += value (id, d).
  void add_row(int64_t id, float* to) const;
};

/// Symmetric int8 of one row: scale = max |value| / 127, out[d] = round(value / scale).
/// @return the scale, 0 for a row of zeros
float quantise_row(const float* values, int64_t dim, int8_t* out);

/// For each bag b = 0 .. B - 1: the mean or sum of the table's rows ids[offsets[b] ..
/// offsets[b + 1]); zeros for an empty bag. Row b is written to out[b * out_stride .. + dim), so
/// that several features fill one concatenated input.
/// Shapes: offsets [B + 1].
/// Throws ArgumentError on an id outside the table, offsets that fall or leave `ids`, or an output
/// that is too short.
void gather_pool(const RowTable& table, std::span<const int32_t> ids,
                 std::span<const int32_t> offsets, Pooling pooling, std::span<float> out,
                 int64_t out_stride);

}  // namespace retort
