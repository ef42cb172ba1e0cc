#include "retort/sim/policy.h"

#include <cmath>
#include <numeric>

#include "test_world.h"
#include <gtest/gtest.h>

#include "retort/sim/day_log.h"

namespace retort {
namespace {

using testing::shared_oracle;

TEST(Policy, ExposureProbabilitiesSumToOne) {
  const World& world = shared_oracle().world();
  for (int32_t day = 0; day < world.days(); ++day) {
    const PolicyDay policy(world, day);
    PolicyDay::Row row;
    for (int32_t user = 0; user < 40; ++user) {
      policy.fill(user, row);
      double sum = 0;
      for (int32_t i = 0; i < policy.alive(); ++i) sum += policy.exposure(row, i);
      EXPECT_NEAR(sum, 1, 1e-6);
    }
  }
}

TEST(Policy, ExploresEveryLivingItemUniformly) {
  const World& world = shared_oracle().world();
  const PolicyDay policy(world, 2);
  PolicyDay::Row row;
  policy.fill(0, row);
  for (int32_t i = 0; i < policy.alive(); ++i) {
    EXPECT_GE(policy.exposure(row, i), 0.1 / policy.alive());
  }
}

TEST(Policy, DrawsFollowTheExposureProbabilities) {
  const World& world = shared_oracle().world();
  const PolicyDay policy(world, 1);
  PolicyDay::Row row;
  policy.fill(7, row);
  const Rng rng(3, "draws");
  const int n = 200'000;
  std::vector<int> counts(static_cast<size_t>(policy.alive()));
  for (int k = 0; k < n; ++k) {
    const auto at = static_cast<uint64_t>(2 * k);
    ++counts[static_cast<size_t>(policy.draw(row, rng.uniform(at), rng.uniform(at + 1)))];
  }
  double chi = 0;  // Pearson's statistic: mean A - 1, deviation sqrt(2 (A - 1))
  for (int32_t i = 0; i < policy.alive(); ++i) {
    const double expected = n * policy.exposure(row, i);
    chi += std::pow(counts[static_cast<size_t>(i)] - expected, 2) / expected;
  }
  const double freedom = policy.alive() - 1;
  EXPECT_NEAR(chi, freedom, 5 * std::sqrt(2 * freedom));
}

TEST(Policy, MatchesTheFormulaOfTheOracle) {
  const World& world = shared_oracle().world();
  for (const int32_t day : {0, 3}) {
    const PolicyDay policy(world, day);
    PolicyDay::Row row;
    std::vector<float> clicks;
    for (int32_t user = 0; user < 20; ++user) {
      policy.fill(user, row);
      policy.click_probabilities(user, clicks);
      for (int32_t i = 0; i < policy.alive(); i += 7) {
        EXPECT_NEAR(policy.exposure(row, i) / shared_oracle().exposure(user, i, day), 1, 2e-5);
        EXPECT_NEAR(clicks[static_cast<size_t>(i)] / shared_oracle().p_click(user, i, day), 1,
                    2e-5);
      }
    }
  }
}

TEST(Policy, PopularityDecaysWithTheAgeOfItemsBornInTheLog) {
  const World& world = shared_oracle().world();
  const int32_t born = world.alive[0];  // the first item of day 1
  ASSERT_EQ(world.birth[static_cast<size_t>(born)], 1);
  const auto young = log_popularity(world, 1), old = log_popularity(world, 3);
  const auto item = static_cast<size_t>(born);
  // against item 0, whose weight stands still
  EXPECT_NEAR((old[item] - old[0]) - (young[item] - young[0]), -2.0 / 5, 1e-6);
}

TEST(Poisson, HasItsMeanAndVariance) {
  const Rng rng(9, "poisson");
  for (const double mean : {0.3, 2.5, 40.0, 250.0}) {
    const int n = 20'000;
    double sum = 0, square = 0;
    for (uint64_t k = 0; k < n; ++k) {
      const auto draw = static_cast<double>(poisson(rng.fork(k), mean));
      sum += draw;
      square += draw * draw;
    }
    EXPECT_NEAR(sum / n, mean, 5 * std::sqrt(mean / n));
    EXPECT_NEAR((square - sum * sum / n) / n, mean, 0.06 * mean);
  }
}

}  // namespace
}  // namespace retort
