// Counts of the trailing window against a plain list of clicks.
#include "retort/server/trailing_popularity.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/rng.h"

namespace retort {
namespace {

using testing::ElementsAre;
using testing::Pair;

constexpr int64_t kMinute = TrailingPopularity::kMinute, kHour = TrailingPopularity::kHour;

struct TrailingTest : testing::Test {
  int64_t now = 1000 * 24 * kHour;
  TrailingPopularity popularity{{.clock = [this] { return now; }, .refresh = 0}};
};

TEST_F(TrailingTest, CountsTheWindowToTheBucket) {
  const Rng rng(7, "clicks");
  std::vector<std::pair<int64_t, std::string>> clicks;
  uint64_t draw = 0;
  for (int step = 0; step < 3000; ++step) {
    now += static_cast<int64_t>(rng.below(static_cast<uint64_t>(6 * kMinute), draw++));
    const uint64_t wide = rng.below(30, draw++), narrow = rng.below(30, draw++);
    const std::string item = fmt::format("i{}", wide * narrow / 30);
    // Some come late, up to ten hours; a few are told of the future.
    const int64_t time =
        now - static_cast<int64_t>(rng.below(10, draw++) == 0 ? rng.below(10 * kHour, draw++) : 0) +
        (step % 100 == 0 ? kHour : 0);
    popularity.add(item, time);
    clicks.emplace_back(std::min(time, now), item);
    if (step % 150 != 149) continue;
    for (const int64_t window :
         {kMinute, 10 * kMinute, 2 * kHour, 3 * kHour, 24 * kHour, 7 * 24 * kHour}) {
      const int64_t width = window <= 2 * kHour ? kMinute : kHour;
      const int64_t begin = (now - window) / width * width;
      std::map<std::string, int64_t> counts;
      for (const auto& [at, id] : clicks)
        if (at >= begin) ++counts[id];
      TrailingPopularity::Ranking expected(counts.begin(), counts.end());
      std::stable_sort(expected.begin(), expected.end(),
                       [](const auto& a, const auto& b) { return a.second > b.second; });
      EXPECT_EQ(*popularity.ranking(window), expected) << "step " << step << " window " << window;
    }
  }
  EXPECT_EQ(popularity.counted(), 3000);
}

TEST_F(TrailingTest, WhatIsOldIsGone) {
  popularity.add("a", now - 8 * 24 * kHour);
  popularity.add("b", now - 2 * kHour - 2 * kMinute);
  popularity.add("c", -1);
  EXPECT_THAT(*popularity.ranking(7 * 24 * kHour), ElementsAre(Pair("b", 1)));
  EXPECT_TRUE(popularity.ranking(2 * kHour)->empty());
  now += 30 * 24 * kHour;
  EXPECT_TRUE(popularity.ranking(7 * 24 * kHour)->empty());
}

TEST(TrailingPopularity, AFullBucketForgetsWhatIsClickedLeast) {
  int64_t now = 1000 * kHour;
  TrailingPopularity popularity(
      {.clock = [&] { return now; }, .refresh = 0, .minute_items = 50, .hour_items = 50});
  for (int round = 0; round < 200; ++round) {
    popularity.add("often", now);
    if (round % 2 == 0) popularity.add("half", now);
    for (int i = 0; i < 20; ++i) popularity.add(fmt::format("once {} {}", round, i), now);
  }
  const auto ranking = popularity.ranking(24 * kHour);
  EXPECT_LE(ranking->size(), 50u);
  EXPECT_THAT((*ranking)[0], Pair("often", 200));
  EXPECT_THAT((*ranking)[1], Pair("half", 100));
}

TEST(TrailingPopularity, ARankingIsKeptForAWhileAndThreadsAgree) {
  std::atomic<int64_t> now{1000 * kHour};
  TrailingPopularity popularity({.clock = [&] { return now.load(); }});
  popularity.add("a", now);
  EXPECT_EQ(popularity.ranking(kHour)->size(), 1u);
  popularity.add("b", now);
  EXPECT_EQ(popularity.ranking(kHour)->size(), 1u) << "made less than a second ago";
  now += 1'000'000;
  EXPECT_EQ(popularity.ranking(kHour)->size(), 2u);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; i < 2000; ++i) {
          popularity.add(fmt::format("t{}", (i + t) % 10), now);
          if (i % 10 == 0) now += 500'000;
          if (i % 20 == 0)
            for (const int64_t minutes : {1, 5, 30, 60, 600, 700 + i}) {
              const auto ranking = popularity.ranking(minutes * kMinute);
              for (size_t j = 1; j < ranking->size(); ++j)
                ASSERT_GE((*ranking)[j - 1].second, (*ranking)[j].second);
            }
        }
      });
  }
  now += 1'000'000;
  int64_t all = 0;
  for (const auto& [item, clicks] : *popularity.ranking(24 * kHour)) all += clicks;
  EXPECT_EQ(all, 8002);
}

}  // namespace
}  // namespace retort
