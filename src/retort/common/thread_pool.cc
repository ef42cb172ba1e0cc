#include "retort/common/thread_pool.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "retort/common/error.h"

namespace retort {
namespace {

thread_local bool t_inside = false;

class Pool {
 public:
  explicit Pool(int workers) {
    for (int i = 0; i < workers; ++i) threads_.emplace_back([this] { work(); });
  }
  ~Pool() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  void submit(std::function<void()> job) {
    {
      const std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    wake_.notify_one();
  }

 private:
  void work() {
    t_inside = true;
    while (true) {
      std::function<void()> job;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
        if (stop_) return;
        job = std::move(jobs_.front());
        jobs_.pop_front();
      }
      job();
    }
  }
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

std::mutex g_mutex;
int g_threads = 0;
std::unique_ptr<Pool> g_pool;

int wanted_threads() {
  return g_threads > 0 ? g_threads
                       : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

Pool& pool() {
  const std::lock_guard lock(g_mutex);
  if (!g_pool) g_pool = std::make_unique<Pool>(wanted_threads() - 1);
  return *g_pool;
}

/// What the pieces of one parallel_for share; lives until the last helper let go of it.
struct Shared {
  int64_t next, end, piece;
  const std::function<void(int64_t, int64_t)>* body;
  std::mutex mutex;
  std::condition_variable done;
  int64_t unfinished = 0;
  std::exception_ptr error;

  void run() {
    while (true) {
      int64_t from = 0;
      {
        const std::lock_guard lock(mutex);
        if (next >= end) return;
        from = next;
        next = std::min(end, next + piece);
      }
      std::exception_ptr caught;
      try {
        (*body)(from, std::min(end, from + piece));
      } catch (...) {
        caught = std::current_exception();
      }
      const std::lock_guard lock(mutex);
      if (caught && !error) {
        error = caught;
      }
      if (--unfinished == 0) done.notify_all();
    }
  }
};

}  // namespace

void set_threads(int threads) {
  check(threads >= 0, "set_threads: {} threads", threads);
  const std::lock_guard lock(g_mutex);
  if (threads == g_threads) return;
  g_threads = threads;
  g_pool.reset();
}

int threads() {
  const std::lock_guard lock(g_mutex);
  return wanted_threads();
}

void parallel_for(int64_t begin, int64_t end, int64_t grain,
                  const std::function<void(int64_t, int64_t)>& body) {
  if (begin >= end) return;
  grain = std::max<int64_t>(grain, 1);
  const int64_t workers = t_inside ? 1 : threads();
  if (workers == 1 || end - begin <= grain) {
    body(begin, end);
    return;
  }
  // Four pieces a worker even out uneven work without much overhead.
  const int64_t piece = std::max(grain, (end - begin + workers * 4 - 1) / (workers * 4));
  auto shared = std::make_shared<Shared>();
  shared->next = begin;
  shared->end = end;
  shared->piece = piece;
  shared->body = &body;
  shared->unfinished = (end - begin + piece - 1) / piece;
  const int64_t helpers = std::min<int64_t>(workers - 1, shared->unfinished - 1);
  for (int64_t i = 0; i < helpers; ++i) pool().submit([shared] { shared->run(); });
  t_inside = true;
  shared->run();
  t_inside = false;
  std::unique_lock lock(shared->mutex);
  shared->done.wait(lock, [&] { return shared->unfinished == 0; });
  if (shared->error) std::rethrow_exception(shared->error);
}

}  // namespace retort
