#include "retort/common/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "retort/common/error.h"

namespace retort {
namespace {

struct Unit {
  char letter;
  int64_t microseconds;
};
constexpr std::array<Unit, 5> kUnits{{{'w', 604'800'000'000},
                                      {'d', 86'400'000'000},
                                      {'h', 3'600'000'000},
                                      {'m', 60'000'000},
                                      {'s', 1'000'000}}};

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = diagonal + (a[i - 1] != b[j - 1] ? 1 : 0);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replace});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest_name(std::string_view name, const std::vector<std::string>& known) {
  std::string best;
  size_t best_distance = std::max<size_t>(2, name.size() / 2);
  for (const std::string& candidate : known) {
    const size_t distance = edit_distance(name, candidate);
    if (distance < best_distance || (distance == best_distance && best.empty())) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

int64_t parse_duration(std::string_view text, std::string_view where) {
  int64_t amount = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), amount);
  if (code == std::errc() && end + 1 == text.data() + text.size() && amount >= 0) {
    for (const Unit& unit : kUnits)
      if (*end == unit.letter && amount <= INT64_MAX / unit.microseconds)
        return amount * unit.microseconds;
  }
  fail<ConfigError>("{}: '{}' is not a duration; write a number and one of s, m, h, d, w: \"3h\"",
                    where, text);
}

std::string format_duration(int64_t microseconds) {
  for (const Unit& unit : kUnits)
    if (microseconds >= unit.microseconds && microseconds % unit.microseconds == 0)
      return fmt::format("{}{}", microseconds / unit.microseconds, unit.letter);
  return fmt::format("{}s", static_cast<double>(microseconds) / 1e6);
}

int64_t parse_moment(std::string_view text, std::string_view where) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  int date_end = 0, end = 0;  // characters of the date, of all
  const std::string copy(text);
  char separator = ' ';
  const int got = std::sscanf(copy.c_str(), "%4d-%2d-%2d%n%c%2d:%2d%n:%2d%n", &year, &month, &day,
                              &date_end, &separator, &hour, &minute, &end, &second, &end);
  const std::chrono::year_month_day date{
      std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(std::max(month, 0))},
      std::chrono::day{static_cast<unsigned>(std::max(day, 0))}};
  const auto size = static_cast<int>(copy.size());
  const bool whole = got >= 6 && (separator == ' ' || separator == 'T') &&
                     (end == size || (end + 1 == size && copy.back() == 'Z'));
  if (!(whole || (got == 3 && date_end == size)) || !date.ok() || hour < 0 || hour > 23 ||
      minute < 0 || minute > 59 || second < 0 || second > 60)
    fail<ConfigError>("{}: '{}' is not a moment; write \"2024-03-31\" or \"2024-03-31 07:00:00\"",
                      where, text);
  const auto days = std::chrono::sys_days(date).time_since_epoch().count();
  return ((days * 24 + hour) * 60 + minute) * 60'000'000LL + second * 1'000'000LL;
}

std::string format_moment(int64_t microseconds) {
  using namespace std::chrono;
  const sys_seconds moment{floor<seconds>(std::chrono::microseconds(microseconds))};
  const auto day = floor<days>(moment);
  const year_month_day date{day};
  const hh_mm_ss clock{moment - day};
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

std::string with_thousands(int64_t value) {
  std::string digits = std::to_string(value < 0 ? -value : value);
  for (auto at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<size_t>(at), 1, ',');
  return value < 0 ? "-" + digits : digits;
}

std::string format_bytes(uint64_t bytes) {
  constexpr std::array<const char*, 5> kNames{"B", "KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  auto amount = static_cast<double>(bytes);
  size_t unit = 0;
  while (amount >= 1024 && unit + 1 < kNames.size()) {
    amount /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", amount, kNames[unit]);
}

std::string format_seconds(double seconds) {
  if (seconds < 60) return fmt::format("{:.1f}s", seconds);
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 3600) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
}

}  // namespace retort
