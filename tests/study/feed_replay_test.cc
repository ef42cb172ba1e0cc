// Oracles: the simulator's own log, sums over it, and the definition of the slate.
#include "retort/study/feed_replay.h"

#include <cmath>
#include <map>

#include "tests/study/feed_platform.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/log/days.h"
#include "retort/sim/day_log.h"
#include "retort/sim/law.h"

namespace retort {
namespace {

using testing::ElementsAre;

constexpr int32_t kDayOfTest = FeedPlatform::kLastDay;

struct Keys {
  Keys() {
    const World& world = FeedPlatform::get().oracle().world();
    for (int64_t user = 0; user < world.users(); ++user) users.add(world.user_key(user));
    for (int64_t item = 0; item < world.items(); ++item) items.add(world.item_key(item));
  }
  KeyNumbers users, items;
};

TEST(FeedReplay, TheLuckIsThatOfTheLog) {
  const FeedPlatform& platform = FeedPlatform::get();
  const Oracle& oracle = platform.oracle();
  struct Logged {
    std::vector<int32_t> slate;
    double clicks = 0, seconds = 0, reads = 0, bait = 0;
  };
  std::map<int32_t, Logged> by_user;
  ImpressionLog log(platform.world());
  log.each(platform.midnight(), platform.midnight() + kDay, false, [&](const Impression& shown) {
    Logged& of = by_user[*oracle.find_user(shown.user)];
    const int32_t item = *oracle.find_item(shown.item);
    of.slate.push_back(item);
    of.clicks += shown.clicked ? 1 : 0;
    of.seconds += shown.seconds;
    of.reads += shown.seconds > 50 ? 1 : 0;
    of.bait += oracle.click_bait(item) ? 1 : 0;
  });
  int32_t compared = 0;
  double clicks = 0;
  for (const auto& [user, logged] : by_user) {
    const auto times = request_times(oracle.world(), user, kDayOfTest);
    ASSERT_EQ(times.size() * 10, logged.slate.size()) << user;
    if (times.size() != 1) continue;  // several requests had several slates
    const FeedOutcome got = replay_feed(oracle, user, kDayOfTest, 1, logged.slate, 50);
    EXPECT_EQ(got.shown, 10);
    EXPECT_EQ(got.clicks, logged.clicks) << user;
    EXPECT_NEAR(got.seconds, logged.seconds, 1e-3) << user;
    EXPECT_EQ(got.reads, logged.reads) << user;
    EXPECT_EQ(got.click_bait, logged.bait) << user;
    clicks += got.clicks;
    ++compared;
  }
  EXPECT_GT(compared, 15);
  EXPECT_GT(clicks, 4);
}

TEST(FeedReplay, ExpectedFiguresAreTheMeansOfManyRequests) {
  const Oracle& oracle = FeedPlatform::get().oracle();
  const std::vector<int32_t> slate{3, 50, -1, 7, 100, 20};
  FeedOutcome all;
  double clicks = 0, seconds = 0, reads = 0;
  constexpr int64_t kRequests = 400;
  for (int32_t user = 0; user < 200; ++user) {
    const FeedOutcome got = replay_feed(oracle, user, kDayOfTest, kRequests, slate, 50);
    EXPECT_EQ(got.shown, 5 * kRequests);
    for (int32_t place = 0; place < 6; ++place) {
      const int32_t item = slate[static_cast<size_t>(place)];
      if (item < 0) continue;
      const double p = kRequests * oracle.p_click(user, item, kDayOfTest) / std::log2(place + 2.0);
      clicks += p;
      seconds += p * oracle.expected_seconds(user, item, kDayOfTest);
      reads += p * oracle.p_long(user, item, kDayOfTest, 50);
    }
    all.clicks += got.clicks;
    all.seconds += got.seconds;
    all.reads += got.reads;
    all.expected_clicks += got.expected_clicks;
    all.expected_seconds += got.expected_seconds;
    all.expected_reads += got.expected_reads;
  }
  EXPECT_NEAR(all.expected_clicks, clicks, 1e-6 * clicks);
  EXPECT_NEAR(all.expected_seconds, seconds, 1e-6 * seconds);
  EXPECT_NEAR(all.expected_reads, reads, 1e-6 * reads);
  EXPECT_NEAR(all.clicks, clicks, 5 * std::sqrt(clicks));
  EXPECT_NEAR(all.reads, reads, 5 * std::sqrt(reads));
  EXPECT_NEAR(all.seconds, seconds, 0.1 * seconds);
}

TEST(FeedRanker, IsTheSmoothedRatesOfTheDaysBefore) {
  const FeedPlatform& platform = FeedPlatform::get();
  const Keys keys;
  ImpressionLog log(platform.world());
  const int64_t start = platform.oracle().world().start;
  const LiveRanker got = fit_feed_ranker(log, start, platform.midnight(), keys.users, keys.items);
  LiveRanker expected({}, log.category_bits(keys.items), 32, keys.users.size());
  for (int32_t day = 0; day < kDayOfTest; ++day) {
    expected.forget();
    log.each(start + day * kDay, start + (day + 1) * kDay, false, [&](const Impression& shown) {
      const int32_t user = *keys.users.find(shown.user), item = *keys.items.find(shown.item);
      expected.learn_impression(user, item, 1 / std::log2(shown.position + 1.0), shown.clicked);
      if (shown.clicked) expected.learn_minutes(user, item, shown.seconds);
    });
  }
  double least = 1e9, most = 0;
  for (int32_t item = 0; item < 120; item += 3) {
    const auto scores = expected.score(item, item);
    EXPECT_DOUBLE_EQ(expected_clicks(got, item, item), sigmoid(scores.click));
    const double reading = expected_reading(got, item, item);
    EXPECT_DOUBLE_EQ(reading, sigmoid(scores.click) * scores.minutes);
    least = std::min(least, reading);
    most = std::max(most, reading);
  }
  EXPECT_GT(most, 3 * least);
}

TEST(FeedRanker, OrdersCandidatesByWhatItExpectsAndKeepsTheirOrderInTies) {
  LiveRanker ranker({}, std::vector<uint32_t>(5), 32, 1);
  for (int time = 0; time < 50; ++time) {
    ranker.learn_impression(0, 1, 1, time < 20);  // clicked most
    ranker.learn_impression(0, 2, 1, time < 10);
    ranker.learn_impression(0, 3, 1, time < 2);
  }
  ranker.learn_minutes(0, 1, 20 * 5);
  ranker.learn_minutes(0, 2, 10 * 100);  // read longest
  ranker.learn_minutes(0, 3, 2 * 20);
  const std::vector<int32_t> candidates{3, 4, 0, 2, 1};  // 0 and 4 were never shown: alike
  EXPECT_THAT(rank_candidates(ranker, FeedRanker::kNone, 0, candidates, 3), ElementsAre(3, 4, 0));
  EXPECT_THAT(rank_candidates(ranker, FeedRanker::kCtr, 0, candidates, 9),
              ElementsAre(1, 2, 4, 0, 3));  // (10 + 20 p0) / 70 = .198, p0 = .194
  EXPECT_THAT(rank_candidates(ranker, FeedRanker::kCtrDwell, 0, candidates, 1), ElementsAre(2));
}

}  // namespace
}  // namespace retort
