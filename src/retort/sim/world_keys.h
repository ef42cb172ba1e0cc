// The keys of users and items in the logs of simulated worlds, read back.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "retort/common/error.h"
#include "retort/dataset/dataset.h"

namespace retort {

/// Number of a key such as "u000123": prefix and so many digits, below `count`; else nullopt.
inline std::optional<int32_t> number_of(std::string_view key, char prefix, size_t digits,
                                        int64_t count) {
  if (key.size() != digits + 1 || key[0] != prefix) return std::nullopt;
  int32_t number = 0;
  const auto [end, error] = std::from_chars(key.data() + 1, key.data() + key.size(), number);
  if (error != std::errc() || end != key.data() + key.size()) return std::nullopt;
  if (number < 0 || number >= count) return std::nullopt;
  return number;
}

/// The world's number of every key of a dataset, by find(key); `what` is "user" or "item". Throws
/// DataError on a key that the world does not know.
template <class Find>
std::vector<int32_t> numbers_of(const Strings& keys, const char* what, const Dataset& dataset,
                                const Find& find) {
  std::vector<int32_t> numbers;
  for (int64_t k = 0; k < keys.size(); ++k) {
    const auto number = find(keys[k]);
    if (!number) {
      fail<DataError>(
          "{}: {} '{}' is not of this simulated world; give the world whose log the "
          "dataset was made of",
          dataset.folder().string(), what, keys[k]);
    }
    numbers.push_back(*number);
  }
  return numbers;
}

}  // namespace retort
