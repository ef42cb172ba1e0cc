// Small text helpers that more than one room uses.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace retort {

/// The name of `known` with the least edit distance to `name`, for "did you mean"; empty if none
/// is near.
std::string nearest_name(std::string_view name, const std::vector<std::string>& known);

/// "15m", "1h", "3h", "1d", "2d", "30s" to microseconds. Throws ConfigError naming `where`.
int64_t parse_duration(std::string_view text, std::string_view where);
/// The inverse, in the largest unit that divides: "1h", "90m".
std::string format_duration(int64_t microseconds);

/// "2023-05-16", "2023-05-16 07:00:00" or "2023-05-16T07:00:00" (UTC) to microseconds since
/// 1970. Throws ConfigError naming `where`.
int64_t parse_moment(std::string_view text, std::string_view where);
/// "2023-05-16 07:00:00" (UTC).
std::string format_moment(int64_t microseconds);

/// 1234567 -> "1,234,567".
std::string with_thousands(int64_t value);
/// Bytes as "1.2 MiB", "812 B".
std::string format_bytes(uint64_t bytes);
/// Seconds as "1m05s", "12.3s".
std::string format_seconds(double seconds);

}  // namespace retort
