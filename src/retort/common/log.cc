#include "retort/common/log.h"

#include <memory>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "retort/common/progress.h"

namespace retort {
namespace {

LogLevel g_level = LogLevel::kInfo;

spdlog::logger& logger() {
  static const auto instance = [] {
    auto made = std::make_shared<spdlog::logger>(
        "retort", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_pattern("%^%v%$");
    return made;
  }();
  return *instance;
}

}  // namespace

void set_log_level(LogLevel level) {
  g_level = level;
  Progress::set_enabled(level == LogLevel::kInfo);
}

void log_line(LogLevel level, std::string_view room, std::string_view text) {
  if (level < g_level) return;
  Progress::clear_line();
  if (level == LogLevel::kWarning)
    logger().warn("[{}] warning: {}", room, text);
  else
    logger().info("[{}] {}", room, text);
}

}  // namespace retort
