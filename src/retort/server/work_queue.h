// The threads that answer requests, behind a bounded queue with two lanes.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "retort/server/router.h"

namespace retort {

struct WorkQueueOptions {
  int threads = 0;        // 0: one a core
  int64_t waiting = 256;  // requests of either lane; one more is turned away
  int64_t batch = 16;     // quick requests that a thread takes at once when so many wait
};

struct Work {
  HttpRequest request;
  Reply reply;
  const Route* route = nullptr;
  PathValues values{};
};

/// Quick requests (one user each) are taken in batches, so that their towers run as one product;
/// slow ones (lists of users or items) singly, and never by all threads at once, so that they keep
/// no quick one waiting for long.
class WorkQueue {
 public:
  using Handler = std::function<void(std::span<Work>)>;
  /// Handlers must not throw, and must reply to each of their works.
  WorkQueue(const WorkQueueOptions& options, Handler quick, Handler slow);
  /// Answers what waits, then ends.
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  enum class Lane { kQuick, kSlow };
  /// False, and `work` untouched, if the lane is full.
  bool submit(Lane lane, Work& work);
  int64_t waiting(Lane lane) const;

 private:
  void run();
  bool may_take_slow() const;

  const WorkQueueOptions options_;
  const Handler quick_handler_, slow_handler_;
  const int threads_count_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Work> quick_, slow_;
  int slow_running_ = 0;
  bool stop_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace retort
