// Clicks of a dataset being built by other orders than the user's: grouped by a key and, within
// it, by time. Works on the mapped columns, in memory bounded by the largest group.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace retort {

struct TimedClick {
  int64_t time = 0, click = 0;
};

/// Keys of the clicks [begin, end) into keys[0 .. end - begin).
using KeysOfClicks = std::function<void(int64_t begin, int64_t end, int32_t* keys)>;

/// Consecutive keys [first, first + begin.size() - 1): clicks of key first + k are
/// clicks[begin[k] .. begin[k + 1]), by time and then by number.
struct ClickGroups {
  int64_t first = 0;
  std::span<const int64_t> begin;
  std::span<const TimedClick> clicks;
};

/// Calls `each` with groups that together are all clicks, keys ascending; keys are in [0, count).
/// A call holds `at_once` clicks at most, or one key: all keys are asked for once a call. Groups
/// are sorted on the pool.
void for_click_groups(std::span<const int64_t> time, int64_t count, const KeysOfClicks& keys_of,
                      const std::function<void(const ClickGroups&)>& each,
                      int64_t at_once = int64_t{1} << 22);

/// The same for all clicks by time alone: `each` gets them piece by piece.
void for_clicks_by_time(std::span<const int64_t> time,
                        const std::function<void(std::span<const TimedClick>)>& each);

}  // namespace retort
