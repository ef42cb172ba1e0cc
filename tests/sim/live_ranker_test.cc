#include "retort/sim/live_ranker.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace retort {
namespace {

const std::vector<uint32_t> kGenres{0b001, 0b010, 0b011, 0b100};

LiveRanker ranker() { return {LiveRankerOptions{}, kGenres, 3, 2}; }

double logit(double p) { return std::log(p / (1 - p)); }

TEST(LiveRanker, KnowsNothingBeforeTheFirstDay) {
  const LiveRanker fresh = ranker();
  for (int32_t item = 0; item < 4; ++item) {
    EXPECT_NEAR(fresh.score(0, item).click, logit(1.0 / 20), 1e-12);
    EXPECT_NEAR(fresh.score(1, item).dwm, logit(1.0 / 20), 1e-12);
  }
}

TEST(LiveRanker, FollowsItsFormulas) {
  LiveRanker live = ranker();
  live.forget();
  for (int k = 0; k < 30; ++k) live.learn_impression(0, 0, 1.0, k < 6);
  for (int k = 0; k < 20; ++k) live.learn_impression(1, 1, 0.5, k < 1);
  live.learn_minutes(0, 0, 300);
  live.learn_minutes(1, 1, 15);
  const double p0 = 8.0 / 60;  // (7 + 1) / (30 + 10 + 20)
  const double item = (6 + 20 * p0) / 50, user = item;
  const double affinity = std::log((6 + 20 * user) / (50 * user));
  const double click = logit(item) + logit(user) - logit(p0) + affinity;
  EXPECT_NEAR(live.score(0, 0).click, click, 1e-6);
  const double mean = 315.0 / 7, ratio = (300 + 5 * mean) / 11 / mean;
  EXPECT_NEAR(live.score(0, 0).dwm, click + 2 * std::log(ratio), 1e-6);
  EXPECT_NEAR(live.score(0, 0).mixed(), click + std::log(ratio), 1e-6);
  // A show of two genres, of which the user knows one: half its affinity; the show itself is new.
  EXPECT_NEAR(live.score(0, 2).click, logit(user) + affinity / 2, 1e-6);
}

TEST(LiveRanker, ForgetsAShareADay) {
  LiveRanker live = ranker();
  for (int k = 0; k < 40; ++k) live.learn_impression(0, 0, 1.0, k < 20);
  const double before = live.score(0, 0).click;
  for (int day = 0; day < 200; ++day) live.forget();
  EXPECT_GT(before, live.score(0, 0).click + 1);
  EXPECT_NEAR(live.score(0, 0).click, logit(1.0 / 20), 1e-6);
}

}  // namespace
}  // namespace retort
