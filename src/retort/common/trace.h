// Where the time of a loop goes: named scopes, summed to a table and kept for a Chrome trace
// (chrome://tracing, Perfetto). A scope costs a few nanoseconds while nobody records.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "retort/common/file.h"

namespace retort {

/// Collects scopes between construction and destruction; one at a time in a process.
class TraceRecorder {
 public:
  TraceRecorder();
  ~TraceRecorder();
  TraceRecorder(const TraceRecorder&) = delete;
  TraceRecorder& operator=(const TraceRecorder&) = delete;

  struct Row {
    std::string name;
    int64_t calls = 0;
    double seconds = 0;       // with the scopes inside it
    double self_seconds = 0;  // without
  };
  /// One row a name, by falling self time.
  std::vector<Row> rows() const;
  /// A table of rows(): share of all self time, milliseconds a call.
  std::string table() const;
  /// Complete events ("ph": "X", microseconds) in the Trace Event Format.
  void write_chrome_trace(const fs::path& path) const;

  struct Event {
    const char* name;
    int thread;
    int64_t begin, duration, self;  // nanoseconds since the recorder began
  };
  void add(const Event& event);

 private:
  std::chrono::steady_clock::time_point begin_;
  std::vector<Event> events_;
};

/// A scope with a name that lives as long as the program ("dense forward").
class TraceScope {
 public:
  explicit TraceScope(const char* name);
  ~TraceScope();
  TraceScope(const TraceScope&) = delete;
  TraceScope& operator=(const TraceScope&) = delete;

 private:
  const char* name_;  // nullptr: nobody records
  std::chrono::steady_clock::time_point begin_;
  int64_t inside_ = 0;  // nanoseconds of scopes within
  TraceScope* outer_ = nullptr;
};

}  // namespace retort
