#include "retort/kernel/runs.h"

#include <atomic>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>
#include <omp.h>

namespace retort {
namespace {

struct ThreeThreads : ::testing::Test {
  ThreeThreads() { omp_set_num_threads(3); }
  ~ThreeThreads() override { omp_set_num_threads(before_); }
  int before_ = omp_get_max_threads();
};

TEST_F(ThreeThreads, InRunsTakesEachOnceInRunsOfTheGrainOrMore) {
  for (const int64_t count : {0, 1, 5, 100}) {
    std::vector<std::atomic<int>> taken(100);
    std::atomic<int> runs = 0;
    in_runs(count, 4, [&](int64_t begin, int64_t end) {
      ++runs;
      EXPECT_GE(end - begin, std::min<int64_t>(count, 4));
      for (int64_t i = begin; i < end; ++i) ++taken[static_cast<size_t>(i)];
    });
    EXPECT_EQ(runs, count == 0 ? 0 : count == 100 ? 3 : 1);
    for (int64_t i = 0; i < 100; ++i) EXPECT_EQ(taken[static_cast<size_t>(i)], i < count ? 1 : 0);
  }
}

TEST_F(ThreeThreads, InRunsWithinOneIsOneRun) {
  std::atomic<int> inner = 0;
  in_runs(3, 1, [&](int64_t, int64_t) { in_runs(30, 1, [&](int64_t, int64_t) { ++inner; }); });
  EXPECT_EQ(inner, 3);
}

TEST_F(ThreeThreads, InRunsRethrows) {
  EXPECT_THROW(in_runs(3, 1,
                       [](int64_t begin, int64_t) {
                         if (begin == 1) throw std::runtime_error("one");
                       }),
               std::runtime_error);
}

}  // namespace
}  // namespace retort
