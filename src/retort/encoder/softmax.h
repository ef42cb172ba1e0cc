// Softmax of a row in place, for the gates of encoders.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>

namespace retort {

inline void softmax(std::span<float> row) {
  const float most = *std::ranges::max_element(row);
  float sum = 0;
  for (float& value : row) sum += value = std::exp(value - most);
  for (float& value : row) value /= sum;
}

}  // namespace retort
