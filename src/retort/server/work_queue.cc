#include "retort/server/work_queue.h"

#include <algorithm>
#include <utility>

namespace retort {

WorkQueue::WorkQueue(const WorkQueueOptions& options, Handler quick, Handler slow)
    : options_(options),
      quick_handler_(std::move(quick)),
      slow_handler_(std::move(slow)),
      threads_count_(options.threads > 0
                         ? options.threads
                         : std::max(1, static_cast<int>(std::thread::hardware_concurrency()))) {
  for (int i = 0; i < threads_count_; ++i) threads_.emplace_back([this] { run(); });
}

WorkQueue::~WorkQueue() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
}

bool WorkQueue::submit(Lane lane, Work& work) {
  {
    const std::lock_guard lock(mutex_);
    std::deque<Work>& queue = lane == Lane::kQuick ? quick_ : slow_;
    if (stop_ || std::ssize(queue) >= options_.waiting) return false;
    queue.push_back(std::move(work));
  }
  wake_.notify_one();
  return true;
}

int64_t WorkQueue::waiting(Lane lane) const {
  const std::lock_guard lock(mutex_);
  return std::ssize(lane == Lane::kQuick ? quick_ : slow_);
}

/// One thread stays free for quick requests, where there are two.
bool WorkQueue::may_take_slow() const {
  return !slow_.empty() && (slow_running_ < threads_count_ - 1 || threads_count_ == 1);
}

void WorkQueue::run() {
  std::vector<Work> batch;
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stop_ || !quick_.empty() || may_take_slow(); });
    if (!quick_.empty()) {
      // Its share of what waits: the other threads are to have something to do as well.
      const int64_t share = (std::ssize(quick_) + threads_count_ - 1) / threads_count_;
      for (int64_t n = std::clamp<int64_t>(share, 1, options_.batch); n > 0; --n) {
        batch.push_back(std::move(quick_.front()));
        quick_.pop_front();
      }
      lock.unlock();
      quick_handler_(batch);
      batch.clear();
      lock.lock();
    } else if (may_take_slow()) {
      batch.push_back(std::move(slow_.front()));
      slow_.pop_front();
      ++slow_running_;
      lock.unlock();
      slow_handler_(batch);
      batch.clear();
      lock.lock();
      --slow_running_;
      wake_.notify_one();
    } else if (stop_ && slow_.empty()) {
      return;
    } else if (stop_) {
      wake_.wait(lock, [this] { return may_take_slow() || slow_.empty(); });
    }
  }
}

}  // namespace retort
