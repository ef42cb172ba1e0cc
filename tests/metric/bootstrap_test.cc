#include "retort/metric/bootstrap.h"

#include <chrono>
#include <cmath>

#include <gtest/gtest.h>

#include "retort/common/thread_pool.h"
#include "retort/metric/auc.h"

namespace retort {
namespace {

TEST(Bootstrap, WeightsArePoissonOfMeanOne) {
  const Bootstrap bootstrap(200000, {});
  std::vector<uint8_t> weights(200000);
  bootstrap.weights(3, weights);
  std::vector<double> share(10, 0);
  double sum = 0, squares = 0;
  for (const uint8_t weight : weights) {
    if (weight < share.size()) share[weight] += 1.0 / 200000;
    sum += weight;
    squares += weight * weight;
  }
  // deviations of the shares at 200,000 draws are below 0.0011
  EXPECT_NEAR(share[0], 0.36788, 0.005);
  EXPECT_NEAR(share[1], 0.36788, 0.005);
  EXPECT_NEAR(share[2], 0.18394, 0.004);
  EXPECT_NEAR(share[3], 0.06131, 0.003);
  EXPECT_NEAR(sum / 200000, 1, 0.012);
  EXPECT_NEAR(squares / 200000 - 1, 1, 0.03);
}

TEST(Bootstrap, DependsOnSeedAndResampleOnly) {
  std::vector<uint8_t> one(100), again(100), other(100), seeded(100);
  Bootstrap(100, {}).weights(4, one);
  Bootstrap(100, {}).weights(4, again);
  Bootstrap(100, {}).weights(5, other);
  Bootstrap(100, {.resamples = 200, .seed = 9}).weights(4, seeded);
  EXPECT_EQ(one, again);
  EXPECT_NE(one, other);
  EXPECT_NE(one, seeded);
}

TEST(Bootstrap, SameReplicatesWithAnyNumberOfThreads) {
  const UserRatio ratio{{1, 0, 2, 5}, {2, 1, 2, 5}};
  const Bootstrap bootstrap(4, {.resamples = 50, .seed = 3});
  const auto statistic = [&](std::span<const uint8_t> weights, std::span<double> out) {
    out[0] = ratio.value(weights);
  };
  const int before = threads();
  set_threads(1);
  const auto single = bootstrap.run(1, statistic);
  set_threads(4);
  const auto many = bootstrap.run(1, statistic);
  set_threads(before);
  for (size_t at = 0; at < 50; ++at) {
    EXPECT_TRUE(single[0][at] == many[0][at] ||
                (std::isnan(single[0][at]) && std::isnan(many[0][at])));
  }
}

TEST(Bootstrap, IntervalsCoverTheTruth) {
  // 150 worlds of 120 users whose values are uniform with mean 0.5: a 95% interval should hold
  // the truth in about 142 of them; fewer than 130 or all has probability below 1e-3.
  int covered = 0;
  double width = 0;
  for (uint64_t world = 0; world < 150; ++world) {
    const Rng rng(world, "world");
    UserRatio ratio;
    for (uint64_t user = 0; user < 120; ++user) {
      ratio.numerator.push_back(rng.uniform(user));
      ratio.denominator.push_back(1);
    }
    const Bootstrap bootstrap(120, {.resamples = 200, .seed = world});
    const auto replicates =
        bootstrap.run(1, [&](std::span<const uint8_t> weights, std::span<double> out) {
          out[0] = ratio.value(weights);
        });
    const Interval interval = interval_of(ratio.value(), replicates[0]);
    covered += interval.low <= 0.5 && 0.5 <= interval.high;
    width += (interval.high - interval.low) / 150;
    EXPECT_LE(interval.low, interval.value);
    EXPECT_GE(interval.high, interval.value);
  }
  EXPECT_GE(covered, 130);
  EXPECT_LT(covered, 150);
  EXPECT_NEAR(width, 2 * 1.96 * std::sqrt(1.0 / 12 / 120), 0.01);  // 0.1033
}

TEST(Interval, TakesPercentilesAndLeavesNanOut) {
  std::vector<double> replicates;
  for (int value = 0; value <= 100; ++value) replicates.push_back(value);
  replicates.push_back(NAN);
  const Interval interval = interval_of(50, replicates);
  EXPECT_DOUBLE_EQ(interval.low, 2.5);
  EXPECT_DOUBLE_EQ(interval.high, 97.5);
  EXPECT_TRUE(std::isnan(interval_of(1, std::vector<double>{NAN}).low));
}

TEST(UserRatio, IsNanWithoutAnyDenominator) {
  EXPECT_TRUE(std::isnan(UserRatio({{0, 0}, {0, 0}}).value()));
  const UserRatio ratio{{1, 3}, {2, 4}};
  EXPECT_DOUBLE_EQ(ratio.value(), 4.0 / 6);
  EXPECT_DOUBLE_EQ(ratio.value(std::vector<uint8_t>{3, 1}), 6.0 / 10);
}

TEST(Bootstrap, TwoHundredResamplesOfAHundredThousandRowsTakeSeconds) {
  const Rng rng(1, "rows");
  std::vector<float> scores;
  std::vector<RowKind> kinds;
  std::vector<int32_t> users;
  for (uint64_t row = 0; row < 100000; ++row) {
    scores.push_back(static_cast<float>(rng.uniform(row)));
    kinds.push_back(static_cast<RowKind>(rng.below(3, 200000 + row)));
    users.push_back(static_cast<int32_t>(row / 10));
  }
  const auto start = std::chrono::steady_clock::now();
  const SortedRows rows(scores, kinds, users);
  const auto replicates =
      Bootstrap(10000, {}).run(1, [&](std::span<const uint8_t> weights, std::span<double> out) {
        out[0] = rows.split(weights).auc_read;
      });
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const Interval interval = interval_of(rows.split().auc_read, replicates[0]);
  EXPECT_LT(interval.low, 0.5);
  EXPECT_GT(interval.high, 0.5);
  EXPECT_LT(interval.high - interval.low, 0.02);
  EXPECT_LT(seconds.count(), 60);  // about 0.3 on a free machine
}

}  // namespace
}  // namespace retort
