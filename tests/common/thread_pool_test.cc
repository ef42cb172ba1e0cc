#include "retort/common/thread_pool.h"

#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/support/soak.h"
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

class ThreadPool : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override { set_threads(GetParam()); }
  void TearDown() override { set_threads(0); }
};
INSTANTIATE_TEST_SUITE_P(Threads, ThreadPool, ::testing::Values(1, 2, 5));

TEST_P(ThreadPool, VisitsEveryElementOnce) {
  for (const int64_t size : {0, 1, 7, 1000}) {
    for (const int64_t grain : {0, 1, 13, 5000}) {
      std::vector<std::atomic<int>> visits(static_cast<size_t>(size));
      parallel_for(0, size, grain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
      });
      for (const auto& count : visits) ASSERT_EQ(count, 1);
    }
  }
}

TEST_P(ThreadPool, KeepsPiecesAtTheGrainButTheLast) {
  std::mutex mutex;
  std::vector<int64_t> sizes;
  parallel_for(10, 1010, 100, [&](int64_t begin, int64_t end) {
    const std::lock_guard lock(mutex);
    sizes.push_back(end - begin);
  });
  int small = 0;
  int64_t total = 0;
  for (const int64_t size : sizes) {
    small += size < 100 ? 1 : 0;
    total += size;
  }
  EXPECT_EQ(total, 1000);
  EXPECT_LE(small, 1);
}

TEST_P(ThreadPool, RethrowsAnExceptionAndStaysUsable) {
  for (int round = 0; round < 3; ++round) {
    EXPECT_THROW(parallel_for(0, 1000, 1,
                              [](int64_t begin, int64_t end) {
                                if (begin <= 500 && 500 < end) fail<DataError>("row 500");
                              }),
                 DataError);
    std::atomic<int64_t> sum = 0;
    parallel_for(0, 100, 1, [&](int64_t begin, int64_t end) { sum += end - begin; });
    EXPECT_EQ(sum, 100);
  }
}

TEST_P(ThreadPool, RunsANestedCallOnTheCallingThread) {
  std::atomic<int> inner = 0, foreign = 0;
  parallel_for(0, 40, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto self = std::this_thread::get_id();
      parallel_for(0, 50, 1, [&](int64_t from, int64_t to) {
        inner += static_cast<int>(to - from);
        foreign += std::this_thread::get_id() == self ? 0 : 1;
      });
    }
  });
  EXPECT_EQ(inner, 40 * 50);
  EXPECT_EQ(foreign, 0);
}

TEST(ThreadPoolSize, IsWhatWasSet) {
  set_threads(3);
  EXPECT_EQ(threads(), 3);
  set_threads(0);
  EXPECT_GE(threads(), 1);
  EXPECT_THROW(set_threads(-1), ArgumentError);
}

TEST(ThreadPoolSize, CallsFromSeveralThreadsDoNotDisturbOneAnother) {
  set_threads(3);
  const int rounds = soak(50);
  std::vector<int64_t> sums(4, 0);
  std::vector<std::thread> callers;
  for (size_t caller = 0; caller < sums.size(); ++caller)
    callers.emplace_back([&, caller] {
      for (int round = 0; round < rounds; ++round) {
        std::atomic<int64_t> sum = 0;
        parallel_for(0, 200, 1, [&](int64_t begin, int64_t end) { sum += end - begin; });
        sums[caller] += sum;
      }
    });
  for (std::thread& thread : callers) thread.join();
  for (const int64_t sum : sums) EXPECT_EQ(sum, rounds * 200);
  set_threads(0);
}

}  // namespace
}  // namespace retort
