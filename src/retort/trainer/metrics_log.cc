#include "retort/trainer/metrics_log.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "retort/common/error.h"

namespace retort {
namespace {

using Scalars = std::vector<std::pair<std::string, double>>;

void collect_scalars(const Json& table, const std::string& prefix, Scalars& scalars) {
  for (const auto& [key, value] : table.items()) {
    if (value.is_object()) collect_scalars(value, prefix + '/' + key, scalars);
    if (value.is_number() && key != "step" && std::isfinite(value.get<double>()))
      scalars.emplace_back(prefix + '/' + key, value.get<double>());
  }
}

// The longest prefix of at most `limit` bytes that consists of whole lines.
int64_t whole_lines(const fs::path& path, int64_t limit) {
  std::string text = read_file(path);
  text.resize(std::min(text.size(), static_cast<size_t>(limit)));
  const size_t end = text.rfind('\n');
  return end == std::string::npos ? 0 : static_cast<int64_t>(end) + 1;
}

}  // namespace

MetricsLog::MetricsLog(const fs::path& run, int64_t keep_bytes)
    : path_(run / "metrics.jsonl"), events_(run) {
  if (fs::exists(path_))
    fs::resize_file(path_, static_cast<uintmax_t>(whole_lines(path_, keep_bytes)));
  file_.open(path_, std::ios::binary | std::ios::app);
  if (!file_) fail<IoError>("{}: cannot open: {}", path_.string(), errno_text());
}

void MetricsLog::write(const Json& record) {
  file_ << record.dump() << '\n';
  file_.flush();
  if (!file_) fail<IoError>("{}: cannot write: {}", path_.string(), errno_text());
  Scalars scalars;
  collect_scalars(record, record.at("split").get<std::string>(), scalars);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  events_.scalars(record.at("step").get<int64_t>(), std::chrono::duration<double>(now).count(),
                  scalars);
}

int64_t MetricsLog::sync() {
  sync_path(path_);
  return static_cast<int64_t>(fs::file_size(path_));
}

}  // namespace retort
