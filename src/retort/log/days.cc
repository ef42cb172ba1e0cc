#include "retort/log/days.h"

#include "retort/common/error.h"
#include "retort/common/text.h"

namespace retort {
namespace {

constexpr int64_t kOpenBegin = std::numeric_limits<int64_t>::min();
constexpr int64_t kOpenEnd = std::numeric_limits<int64_t>::max();

int64_t parse_day(std::string_view text, std::string_view where) {
  const int64_t moment = text.size() == 10 ? parse_moment(text, where) : 1;
  if (moment % kDay != 0)
    fail<ConfigError>("{}: '{}' is no day; write it as 2024-03-05", where, text);
  return moment;
}

}  // namespace

DayRange parse_days(std::string_view text, std::string_view where) {
  const size_t dots = text.find("..");
  if (dots == std::string_view::npos) {
    const int64_t day = parse_day(text, where);
    return {day, day + kDay};
  }
  const std::string_view first = text.substr(0, dots), last = text.substr(dots + 2);
  if (first.empty() && last.empty())
    fail<ConfigError>("{}: '..' names no day; write 2024-03-05..2024-03-07, or one end of it",
                      where);
  const DayRange days{first.empty() ? kOpenBegin : parse_day(first, where),
                      last.empty() ? kOpenEnd : parse_day(last, where) + kDay};
  if (days.from >= days.until) fail<ConfigError>("{}: '{}' ends before it begins", where, text);
  return days;
}

std::string format_day(int64_t microseconds) { return format_moment(microseconds).substr(0, 10); }

std::string format_days(const DayRange& days) {
  if (days.single()) return format_day(days.from);
  return (days.from == kOpenBegin ? "" : format_day(days.from)) + ".." +
         (days.until == kOpenEnd ? "" : format_day(days.until - kDay));
}

}  // namespace retort
