// What softmax over a catalogue is taken of, and the checks of it.
#pragma once

#include <cstdint>
#include <span>

#include "retort/kernel/bf16.h"

namespace retort {

/// B rows, N items, width D; row-major. Spans that are empty are absent.
struct CatalogueSoftmaxInput {
  int64_t dim = 0;                     // D
  std::span<const float> users{};      // [B, D]
  std::span<const float> items{};      // [N, D], or instead
  std::span<const Bf16> items_bf16{};  // [N, D]
  std::span<const int32_t> targets{};  // [B] items in [0, N)
  std::span<const float> weight{};     // [B]
  std::span<const float> reward{};     // [B]
  std::span<const float> log_q{};      // [N] natural logs, subtracted from the logits of all rows
  /// Bit i % 64 of word i / 64: item i is no row's negative.
  std::span<const uint64_t> excluded{};  // [ceil(N / 64)]
  /// Items that are no negatives of single rows (its other positives, say): those of row r are
  /// row_items[row_offsets[r] .. row_offsets[r + 1]), ascending.
  std::span<const int64_t> row_offsets{};  // [B + 1]
  std::span<const int32_t> row_items{};
  float temperature = 1;  // in [1e-6, 1e6]
};

/// N.
int64_t catalogue_items(const CatalogueSoftmaxInput& in);
/// Throws ArgumentError where sizes do not fit or a target or option is out of range.
void check_catalogue_input(const CatalogueSoftmaxInput& in);

}  // namespace retort
