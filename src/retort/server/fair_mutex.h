// A shared mutex whose exclusive side is not starved by a stream of shared holders.
#pragma once

#include <mutex>
#include <shared_mutex>

namespace retort {

/// For std::shared_lock and std::unique_lock.
class FairSharedMutex {
 public:
  void lock() {
    const std::lock_guard gate(gate_);  // newcomers wait here while the holders leave
    mutex_.lock();
  }
  void unlock() { mutex_.unlock(); }
  void lock_shared() {
    const std::lock_guard gate(gate_);
    mutex_.lock_shared();
  }
  void unlock_shared() { mutex_.unlock_shared(); }

 private:
  std::mutex gate_;
  std::shared_mutex mutex_;
};

}  // namespace retort
