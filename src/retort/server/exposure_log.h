// What was shown and what was done about it, in Parquet files that `ingest` reads
// (recipes/data/served.toml), so that the loop from serving to training closes.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "retort/common/file.h"
#include "retort/encoder/user_events.h"
#include "retort/server/candidate.h"

namespace retort {

/// One answer.
struct Exposure {
  std::string request;  // its id
  int64_t time = 0;     // microseconds since 1970
  std::string user;     // empty: described by features alone, or nobody
  std::string model;
  int64_t version = 0;
  std::string arm{};  // the model that the traffic split gave; empty: the request named one
  std::vector<Candidate> items{};
};

struct LoggedEvent {
  std::string user;
  UserEvent event;
};

struct ExposureLogOptions {
  fs::path folder;                          // exposures/ and events/ in it
  int64_t rows_a_file = 200'000;            // so many that wait are written
  std::chrono::milliseconds every{30'000};  // as is whatever has waited so long
  int64_t most_rows = 1'000'000;            // that wait, those being written included
};

/// Thread-safe. `add` copies nothing and never waits for the disk: rows wait in memory for a thread
/// of its own, and are dropped and counted where too many wait or a file cannot be written.
class ExposureLog {
 public:
  /// Makes the folders and, where one has no file yet, one without rows, so that they can be read
  /// at any time. Throws IoError if they cannot be written.
  explicit ExposureLog(ExposureLogOptions options);
  /// Writes what waits.
  ~ExposureLog();
  ExposureLog(const ExposureLog&) = delete;
  ExposureLog& operator=(const ExposureLog&) = delete;

  void add(Exposure exposure);
  void add(const std::string& user, std::span<const UserEvent> events);

  struct Counts {
    std::atomic<int64_t> exposures{0}, events{0};  // rows taken
    std::atomic<int64_t> dropped{0};               // of these, rows lost; and those not taken
    std::atomic<int64_t> files{0}, waiting{0};     // files written; rows that wait
  };
  const Counts& counts() const { return counts_; }

 private:
  bool reserve(int64_t rows, bool& wake);
  void drop(int64_t rows, const std::string& why);
  void run(const std::stop_token& stop);
  template <class Row>
  void write(const char* kind, const std::deque<Row>& rows, int64_t count);
  std::string next_name();

  const ExposureLogOptions options_;
  const std::string process_;  // part of every name: several servers may share the folder
  int64_t written_ = 0;
  std::atomic<int64_t> dropped_at_{0};
  Counts counts_;
  std::mutex mutex_;  // of what follows
  std::condition_variable_any wake_;
  std::deque<Exposure> exposures_;
  std::deque<LoggedEvent> events_;
  int64_t rows_ = 0;  // in the two
  std::chrono::steady_clock::time_point oldest_;
  std::jthread writer_;
};

}  // namespace retort
