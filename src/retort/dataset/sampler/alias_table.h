// Draws from a discrete law in constant time. Used by the samplers whose law does not change.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "retort/common/rng.h"

namespace retort {

/// Source: Vose, "A linear algorithm for generating random numbers with a given distribution",
/// IEEE Trans. Software Engineering 17 (1991).
class AliasTable {
 public:
  /// `weights` [K]: finite, not negative, of a positive sum; ArgumentError otherwise. An index of
  /// weight 0 is never drawn.
  explicit AliasTable(std::span<const double> weights);
  /// An index in {0, .., K - 1}, a function of (rng, position) only.
  int32_t draw(const Rng& rng, uint64_t position) const;

 private:
  std::vector<double> keep_;    // [K] probability of keeping the column's own index
  std::vector<int32_t> alias_;  // [K] the other index of the column
};

}  // namespace retort
