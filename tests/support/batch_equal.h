// Equality of batches, element by element.
#pragma once

#include <algorithm>
#include <vector>

#include "retort/dataset/batch.h"

namespace retort {

inline bool equal(const SideBatch& a, const SideBatch& b) {
  if (a.rows != b.rows || a.dense != b.dense || a.sparse.size() != b.sparse.size()) return false;
  for (size_t i = 0; i < a.sparse.size(); ++i)
    if (a.sparse[i].ids != b.sparse[i].ids || a.sparse[i].offsets != b.sparse[i].offsets)
      return false;
  return true;
}

/// Unknown (NaN) is equal to unknown.
inline bool equal_labels(const std::vector<std::vector<float>>& a,
                         const std::vector<std::vector<float>>& b) {
  const auto same = [](float x, float y) { return x == y || (x != x && y != y); };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](const auto& x, const auto& y) {
    return std::equal(x.begin(), x.end(), y.begin(), y.end(), same);
  });
}

inline bool equal(const Batch& a, const Batch& b) {
  return equal(a.users, b.users) && equal(a.items, b.items) && equal(a.pairs, b.pairs) &&
         a.user_of_row == b.user_of_row && a.user == b.user && a.item == b.item &&
         a.time == b.time && a.click == b.click && a.read == b.read && a.seconds == b.seconds &&
         a.known == b.known && equal_labels(a.labels, b.labels);
}

}  // namespace retort
