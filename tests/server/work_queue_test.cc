#include "retort/server/work_queue.h"

#include <atomic>
#include <latch>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace retort {
namespace {

using Lane = WorkQueue::Lane;

Work work(std::atomic<int>& answered) {
  return {{}, [&](HttpResponse) { ++answered; }};
}

TEST(WorkQueue, AnswersAllBeforeItEnds) {
  std::atomic<int> answered{0};
  {
    WorkQueue queue(
        {.threads = 3, .waiting = 1000},
        [](std::span<Work> works) {
          for (Work& one : works) one.reply({});
        },
        [](std::span<Work> works) { works.front().reply({}); });
    for (int i = 0; i < 500; ++i) {
      Work one = work(answered);
      ASSERT_TRUE(queue.submit(i % 3 == 0 ? Lane::kSlow : Lane::kQuick, one));
    }
  }
  EXPECT_EQ(answered, 500);
}

TEST(WorkQueue, TurnsAwayWhatIsAboveItsBoundAndTakesBatches) {
  std::latch gate(1), begun(1);
  std::atomic<int> answered{0}, largest{0};
  std::atomic<bool> first{true};
  {
    WorkQueue queue(
        {.threads = 1, .waiting = 10, .batch = 4},
        [&](std::span<Work> works) {
          if (first.exchange(false)) {
            begun.count_down();
            gate.wait();
          }
          largest = std::max<int>(largest, static_cast<int>(works.size()));
          for (Work& one : works) one.reply({});
        },
        [](std::span<Work>) {});
    Work one = work(answered);
    ASSERT_TRUE(queue.submit(Lane::kQuick, one));
    begun.wait();
    for (int i = 0; i < 10; ++i) {
      Work next = work(answered);
      ASSERT_TRUE(queue.submit(Lane::kQuick, next));
    }
    Work refused = work(answered);
    EXPECT_FALSE(queue.submit(Lane::kQuick, refused));
    EXPECT_TRUE(refused.reply) << "a refused work is left to the caller";
    EXPECT_EQ(queue.waiting(Lane::kQuick), 10);
    gate.count_down();
  }
  EXPECT_EQ(answered, 11);
  EXPECT_EQ(largest, 4);
}

TEST(WorkQueue, SlowWorkLeavesAThreadToQuickWork) {
  std::latch gate(1);
  std::atomic<int> answered{0}, slow{0};
  {
    WorkQueue queue(
        {.threads = 2, .waiting = 10},
        [](std::span<Work> works) {
          for (Work& one : works) one.reply({});
        },
        [&](std::span<Work> works) {
          ++slow;
          gate.wait();
          works.front().reply({});
        });
    for (int i = 0; i < 5; ++i) {
      Work one = work(answered);
      ASSERT_TRUE(queue.submit(Lane::kSlow, one));
    }
    Work quick = work(answered);
    ASSERT_TRUE(queue.submit(Lane::kQuick, quick));
    while (answered == 0) std::this_thread::yield();  // though five slow ones came first
    EXPECT_LE(slow, 1);
    gate.count_down();
  }
  EXPECT_EQ(answered, 6);
}

}  // namespace
}  // namespace retort
