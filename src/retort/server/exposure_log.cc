#include "retort/server/exposure_log.h"

#include <algorithm>
#include <utility>

#include <unistd.h>

#include "retort/common/error.h"
#include "retort/common/log.h"
#include "retort/common/text.h"
#include "retort/server/exposure_file.h"
#include "retort/server/live_items.h"

namespace retort {
namespace {

constexpr const char* kExposures = "exposures";
constexpr const char* kEvents = "events";
constexpr int64_t kEpisode = 60'000'000;  // microseconds

bool has_parquet(const fs::path& folder) {
  const auto entries = fs::directory_iterator(folder);
  return std::any_of(begin(entries), end(entries), [](const fs::directory_entry& entry) {
    return entry.path().extension() == ".parquet";
  });
}

/// Takes what comes first, about `rows` rows of it.
std::deque<Exposure> take(std::deque<Exposure>& from, int64_t rows) {
  std::deque<Exposure> taken;
  for (int64_t count = 0; !from.empty() && count < rows; from.pop_front()) {
    count += std::ssize(from.front().items);
    taken.push_back(std::move(from.front()));
  }
  return taken;
}

int64_t rows_of(const std::deque<Exposure>& exposures) {
  int64_t rows = 0;
  for (const Exposure& exposure : exposures) rows += std::ssize(exposure.items);
  return rows;
}

}  // namespace

ExposureLog::ExposureLog(ExposureLogOptions options)
    : options_(std::move(options)),
      process_(sha256(fmt::format("{} {}", getpid(), system_now())).substr(0, 8)) {
  for (const char* kind : {kExposures, kEvents}) {
    std::error_code error;
    fs::create_directories(options_.folder / kind, error);
    if (error)
      fail<IoError>("{}: cannot be made: {}", (options_.folder / kind).string(), error.message());
  }
  if (!has_parquet(options_.folder / kExposures))
    write_parquet(options_.folder / kExposures / next_name(), std::deque<Exposure>());
  if (!has_parquet(options_.folder / kEvents))
    write_parquet(options_.folder / kEvents / next_name(), std::deque<LoggedEvent>());
  writer_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

ExposureLog::~ExposureLog() {
  writer_.request_stop();
  writer_.join();
}

/// In the order in which they are written: 2026-11-22T08-05-00.1c2d3e4f.000007.parquet
std::string ExposureLog::next_name() {
  std::string moment = format_moment(system_now());
  std::replace(moment.begin(), moment.end(), ' ', 'T');
  std::replace(moment.begin(), moment.end(), ':', '-');
  return fmt::format("{}.{}.{:06}.parquet", moment, process_, written_++);
}

/// With the mutex held.
bool ExposureLog::reserve(int64_t rows, bool& wake) {
  if (counts_.waiting + rows > options_.most_rows) return false;
  if (rows_ == 0) oldest_ = std::chrono::steady_clock::now();
  wake = rows_ == 0 || (rows_ < options_.rows_a_file && rows_ + rows >= options_.rows_a_file);
  rows_ += rows;
  counts_.waiting += rows;
  return true;
}

/// One line in the log until none has been dropped for a minute.
void ExposureLog::drop(int64_t rows, const std::string& why) {
  counts_.dropped += rows;
  const int64_t now = system_now(), before = dropped_at_.exchange(now);
  if (now - before > kEpisode) log_warning("server", "exposures are dropped: {}", why);
}

void ExposureLog::add(Exposure exposure) {
  const int64_t rows = std::ssize(exposure.items);
  if (rows == 0) return;
  bool taken = false, wake = false;
  {
    const std::lock_guard lock(mutex_);
    taken = reserve(rows, wake);
    if (taken) exposures_.push_back(std::move(exposure));
  }
  if (wake) wake_.notify_one();
  if (taken)
    counts_.exposures += rows;
  else
    drop(rows, fmt::format("{} rows wait to be written", options_.most_rows));
}

void ExposureLog::add(const std::string& user, std::span<const UserEvent> events) {
  const int64_t rows = std::ssize(events);
  if (rows == 0) return;
  bool taken = false, wake = false;
  {
    const std::lock_guard lock(mutex_);
    taken = reserve(rows, wake);
    if (taken)
      for (const UserEvent& event : events) events_.push_back({user, event});
  }
  if (wake) wake_.notify_one();
  if (taken)
    counts_.events += rows;
  else
    drop(rows, fmt::format("{} rows wait to be written", options_.most_rows));
}

template <class Row>
void ExposureLog::write(const char* kind, const std::deque<Row>& rows, int64_t count) {
  if (rows.empty()) return;
  try {
    write_parquet(options_.folder / kind / next_name(), rows);
    ++counts_.files;
  } catch (const std::exception& error) {
    drop(count, error.what());
  }
  counts_.waiting -= count;
}

void ExposureLog::run(const std::stop_token& stop) {
  while (true) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, stop, [this] { return rows_ > 0; });
    if (rows_ == 0) return;  // stopped, and nothing waits
    wake_.wait_until(lock, stop, oldest_ + options_.every,
                     [this] { return rows_ >= options_.rows_a_file; });
    const std::deque<Exposure> exposures = take(exposures_, options_.rows_a_file);
    const std::deque<LoggedEvent> events = std::exchange(events_, {});
    const int64_t shown = rows_of(exposures), done = std::ssize(events);
    rows_ -= shown + done;
    oldest_ = std::chrono::steady_clock::now();
    lock.unlock();
    write(kExposures, exposures, shown);
    write(kEvents, events, done);
  }
}

}  // namespace retort
