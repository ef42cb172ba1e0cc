#include "retort/common/trace.h"

#include <algorithm>
#include <map>
#include <mutex>

#include <fmt/format.h>

#include "retort/common/error.h"
#include "retort/common/json.h"
#include "retort/common/table.h"

namespace retort {
namespace {

using Clock = std::chrono::steady_clock;

std::atomic<TraceRecorder*> recorder{nullptr};
std::mutex mutex;  // of the recorder's events
thread_local TraceScope* innermost = nullptr;

int thread_number() {
  static std::atomic<int> next{0};
  thread_local const int kNumber = next++;
  return kNumber;
}

int64_t nanoseconds(Clock::duration duration) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
}

}  // namespace

TraceRecorder::TraceRecorder() : begin_(Clock::now()) {
  TraceRecorder* none = nullptr;
  check(recorder.compare_exchange_strong(none, this), "a trace is being recorded already");
}

TraceRecorder::~TraceRecorder() {
  const std::lock_guard lock(mutex);
  recorder = nullptr;
}

void TraceRecorder::add(const Event& event) {
  events_.push_back(event);
  events_.back().begin -= nanoseconds(begin_.time_since_epoch());
}

std::vector<TraceRecorder::Row> TraceRecorder::rows() const {
  const std::lock_guard lock(mutex);
  std::map<std::string, Row> by_name;
  for (const Event& event : events_) {
    Row& row = by_name[event.name];
    row.name = event.name;
    ++row.calls;
    row.seconds += static_cast<double>(event.duration) * 1e-9;
    row.self_seconds += static_cast<double>(event.self) * 1e-9;
  }
  std::vector<Row> rows;
  for (auto& [name, row] : by_name) rows.push_back(std::move(row));
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.self_seconds > b.self_seconds; });
  return rows;
}

std::string TraceRecorder::table() const {
  const std::vector<Row> all = rows();
  double total = 0;
  for (const Row& row : all) total += row.self_seconds;
  Table table({"where", "share", "ms a call", "calls"});
  for (const Row& row : all)
    table.add({row.name, fmt::format("{:.1f}%", 100 * row.self_seconds / std::max(total, 1e-12)),
               fmt::format("{:.3f}", 1e3 * row.self_seconds / static_cast<double>(row.calls)),
               std::to_string(row.calls)});
  return table.text();
}

void TraceRecorder::write_chrome_trace(const fs::path& path) const {
  const std::lock_guard lock(mutex);
  Json events = Json::array();
  for (const Event& event : events_)
    events.push_back({{"name", event.name},
                      {"ph", "X"},
                      {"pid", 0},
                      {"tid", event.thread},
                      {"ts", static_cast<double>(event.begin) * 1e-3},
                      {"dur", static_cast<double>(event.duration) * 1e-3}});
  write_file(path, Json{{"traceEvents", events}}.dump());
}

TraceScope::TraceScope(const char* name)
    : name_(recorder.load(std::memory_order_relaxed) == nullptr ? nullptr : name) {
  if (name_ == nullptr) return;
  outer_ = innermost;
  innermost = this;
  begin_ = Clock::now();
}

TraceScope::~TraceScope() {
  if (name_ == nullptr) return;
  const int64_t duration = nanoseconds(Clock::now() - begin_);
  innermost = outer_;
  if (outer_ != nullptr) outer_->inside_ += duration;
  const std::lock_guard lock(mutex);
  if (TraceRecorder* to = recorder.load())
    to->add({name_, thread_number(), nanoseconds(begin_.time_since_epoch()), duration,
             duration - inside_});
}

}  // namespace retort
