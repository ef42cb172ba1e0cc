// The check that every number of a recipe's table [world] passes.
#pragma once

#include "retort/common/error.h"

namespace retort {

/// Throws ConfigError unless low <= value <= high (NaN never is).
template <class T>
void check_world_key(const char* key, T value, T low, T high) {
  if (!(value >= low && value <= high)) {
    fail<ConfigError>("recipe key 'world.{}' is {}: give a value between {} and {}", key, value,
                      low, high);
  }
}

}  // namespace retort
