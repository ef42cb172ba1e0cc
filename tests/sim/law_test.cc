#include "retort/sim/law.h"

#include <cmath>

#include <gtest/gtest.h>

#include "retort/common/rng.h"

namespace retort {
namespace {

TEST(ExpectedCapped, MatchesGoldenValues) {
  EXPECT_NEAR(expected_capped(std::log(50.0), 1.0, 1800.0), 82.338, 5e-4);
  // Without a cap: e^{m + s^2/2}.
  EXPECT_NEAR(expected_capped(std::log(50.0), 1.0, 1e12), 82.436, 5e-4);
}

TEST(ExpectedCapped, IsTheCapWhereEverythingExceedsIt) {
  EXPECT_NEAR(expected_capped(std::log(1e6), 0.5, 1800.0), 1800.0, 1e-6);
}

TEST(Law, MatchesMonteCarlo) {
  const Rng rng(5, "law");
  const int n = 200'000;
  const double m = 3.4, sigma = 1.1, cap = 120, threshold = 50;
  double sum = 0, longer = 0;
  for (int k = 0; k < n; ++k) {
    const double seconds = std::exp(m + sigma * rng.normal(static_cast<uint64_t>(k)));
    sum += std::min(seconds, cap);
    longer += seconds > threshold;
  }
  EXPECT_NEAR(expected_capped(m, sigma, cap), sum / n, 0.4);  // deviation of the mean: 0.08
  EXPECT_NEAR(probability_longer(m, sigma, threshold, cap), longer / n, 0.005);
}

TEST(ProbabilityLonger, IsNoneAboveTheCap) {
  EXPECT_EQ(probability_longer(9, 1, 1800, 1800), 0);
  EXPECT_GT(probability_longer(9, 1, 1799, 1800), 0.5);
}

TEST(Examination, FallsAsOneOverTheLogarithm) {
  EXPECT_DOUBLE_EQ(examination(1), 1.0);
  EXPECT_DOUBLE_EQ(examination(3), 0.5);
  EXPECT_DOUBLE_EQ(examination(7), 1.0 / 3.0);
}

}  // namespace
}  // namespace retort
