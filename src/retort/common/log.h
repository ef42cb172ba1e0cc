// Log lines for people, on standard error; numbers for tools go to metrics.jsonl instead.
//   log_info("train", "epoch {} done", epoch);      ->  [train] epoch 3 done
#pragma once

#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace retort {

enum class LogLevel { kInfo, kWarning, kSilent };

/// Lines below the level are dropped. Set once by the command line (`--quiet`).
void set_log_level(LogLevel level);
void log_line(LogLevel level, std::string_view room, std::string_view text);

template <class... Args>
void log_info(std::string_view room, fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kInfo, room, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_warning(std::string_view room, fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kWarning, room, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace retort
