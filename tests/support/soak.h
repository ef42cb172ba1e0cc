// How often campaigns of kills, cuts and random draws repeat: once a case in scripts/test, and
// RETORT_SOAK times as often in scripts/soak.
#pragma once

#include <algorithm>
#include <cstdlib>

namespace retort {

/// `rounds` x RETORT_SOAK; `rounds` where the environment has no such number.
inline int soak(int rounds) {
  const char* factor = std::getenv("RETORT_SOAK");
  return rounds * std::max(1, factor == nullptr ? 1 : std::atoi(factor));
}

}  // namespace retort
