// Assembles the next batches of an epoch on a thread of its own while the consumer works on the
// current one. Used by training and evaluation loops.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "retort/dataset/loader.h"

namespace retort {

/// One consumer, one worker. The loader must outlive it. The batches are those of Loader::load in
/// order, whatever the depth.
///   prefetcher.start(epoch, first_batch);
///   while (const Batch* batch = prefetcher.next()) train_on(*batch);
class Prefetcher {
 public:
  /// `depth` >= 1: batches held ready beside the one in the consumer's hands.
  explicit Prefetcher(const Loader& loader, int depth = 2);
  ~Prefetcher();
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  /// Begins (or seeks to) batch `first` of an epoch; what was ahead is dropped.
  void start(int64_t epoch, int64_t first = 0);
  /// The next batch, valid until the next call of `next` or `start`; nullptr at the epoch's end.
  /// Rethrows what Loader::load threw, at the batch where it did; then `start` again.
  const Batch* next();
  /// Seconds that `next` has waited for the worker, in all.
  double waited_seconds() const { return waited_; }

 private:
  void work();

  const Loader& loader_;
  std::vector<Batch> ring_;  // batch b lies in ring_[b % size]; one slot more than the depth
  std::mutex mutex_;
  std::condition_variable wake_worker_, wake_consumer_;
  int64_t epoch_ = 0;
  int64_t taken_ = 0;  // batches below it are in or past the consumer's hands
  int64_t ready_ = 0;  // batches below it are assembled
  int64_t end_ = 0;
  bool loading_ = false, stop_ = false;
  std::exception_ptr error_;  // of batch ready_
  double waited_ = 0;
  std::thread thread_;
};

}  // namespace retort
