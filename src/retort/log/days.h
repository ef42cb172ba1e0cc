// Whole days (UTC) of a log: which rows a day's ingest reads, and which days are in a log already.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace retort {

constexpr int64_t kDay = int64_t{24} * 3600 * 1000000;  // microseconds

/// The days from the one that begins at `from` to before the one that begins at `until`.
struct DayRange {
  int64_t from = std::numeric_limits<int64_t>::min();
  int64_t until = std::numeric_limits<int64_t>::max();
  /// Neither end is open and there is one day in between.
  bool single() const {
    return from != std::numeric_limits<int64_t>::min() && until - from == kDay;
  }
};

/// "2024-03-05", "2024-03-05..2024-03-07" (both included), "..2024-03-07", "2024-03-05..". Throws
/// ConfigError naming `where`.
DayRange parse_days(std::string_view text, std::string_view where);
/// "2024-03-05": the day of a moment, microseconds since 1970.
std::string format_day(int64_t microseconds);
/// As parse_days reads it.
std::string format_days(const DayRange& days);

}  // namespace retort
