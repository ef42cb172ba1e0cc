#include "retort/dataset/prefetcher.h"

#include "retort/common/error.h"

namespace retort {

Prefetcher::Prefetcher(const Loader& loader, int depth) : loader_(loader) {
  check(depth >= 1, "Prefetcher: depth {}", depth);
  ring_.resize(static_cast<size_t>(depth) + 1);
  thread_ = std::thread([this] { work(); });
}

Prefetcher::~Prefetcher() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_worker_.notify_all();
  thread_.join();
}

void Prefetcher::start(int64_t epoch, int64_t first) {
  const int64_t batches = loader_.batches();
  check(first >= 0 && first <= batches, "Prefetcher: batch {} of {}", first, batches);
  std::unique_lock lock(mutex_);
  end_ = 0;  // nothing more for the worker to begin
  wake_consumer_.wait(lock, [this] { return !loading_; });
  epoch_ = epoch;
  taken_ = ready_ = first;
  end_ = batches;
  error_ = nullptr;
  lock.unlock();
  wake_worker_.notify_all();
}

const Batch* Prefetcher::next() {
  const auto begin = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  if (taken_ >= end_) return nullptr;
  wake_consumer_.wait(lock, [this] { return ready_ > taken_ || error_; });
  waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (ready_ == taken_) {
    end_ = 0;
    std::rethrow_exception(error_);
  }
  const Batch* batch = &ring_[static_cast<size_t>(taken_) % ring_.size()];
  ++taken_;
  lock.unlock();
  wake_worker_.notify_all();
  return batch;
}

void Prefetcher::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    // The slot of batch taken_ - 1 is the consumer's; the others may be filled.
    wake_worker_.wait(lock, [this] {
      const auto ahead = static_cast<int64_t>(ring_.size()) - 1;
      return stop_ || (!error_ && ready_ < end_ && ready_ < taken_ + ahead);
    });
    if (stop_) return;
    const int64_t epoch = epoch_, index = ready_;
    Batch& batch = ring_[static_cast<size_t>(index) % ring_.size()];
    loading_ = true;
    lock.unlock();
    std::exception_ptr error;
    try {
      loader_.load(epoch, index, batch);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    loading_ = false;
    error_ = error;
    if (!error) ready_ = index + 1;
    wake_consumer_.notify_all();
  }
}

}  // namespace retort
