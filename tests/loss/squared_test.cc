#include "retort/loss/squared.h"

#include <cmath>

#include "finite_differences.h"
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

TEST(Squared, MatchesHandComputedValues) {
  // Errors 2, -1 and 0.5: (4 + 1 + 0.25) / 3.
  EXPECT_DOUBLE_EQ(squared_error(doubles({2, 1, 3}), doubles({0, 2, 2.5})).item<double>(), 1.75);
}

TEST(Squared, GradientEqualsFiniteDifferences) {
  const torch::Tensor s = doubles({-3, 0, 40}), t = doubles({0, 0, 123});
  const auto f = [&](torch::Tensor at) { return squared_error(at, t); };
  EXPECT_TRUE(torch::allclose(gradient_of(f, s), numeric_gradient(f, s), 1e-7, 1e-6));
}

TEST(Squared, IsZeroWithoutAGradientWhenMatched) {
  const torch::Tensor t = doubles({0, 17, 1800});
  const auto f = [&](torch::Tensor at) { return squared_error(at, t); };
  EXPECT_EQ(f(t).item<double>(), 0);
  EXPECT_EQ(gradient_of(f, t).abs().max().item<double>(), 0);
}

TEST(Squared, TransformsTheSeconds) {
  LossInputs inputs;
  inputs.logits["student"] = torch::tensor({1.F, 0.5F});
  inputs.labels["seconds"] = torch::tensor({60.F, 0.F});
  const auto value = [&](Json term) { return make_squared(term)(inputs).item<double>(); };
  EXPECT_NEAR(value({{"transform", "raw"}}), (59.0 * 59 + 0.25) / 2, 1e-3);
  EXPECT_NEAR(value({{"transform", "scaled"}, {"scale", 30.0}}), (1 + 0.25) / 2, 1e-6);
  const double log = std::log(61.0);
  EXPECT_NEAR(value({{"transform", "log1p"}}), ((1 - log) * (1 - log) + 0.25) / 2, 1e-5);
}

TEST(Squared, ScaledWaitsForTheDeviationOfTheTrainingSeconds) {
  const Json scaled{{"loss", "squared"}, {"transform", "scaled"}};
  Json filled = scaled;
  filled["scale"] = 80.5;
  EXPECT_TRUE(needs_seconds_deviation(scaled));
  EXPECT_TRUE(
      needs_seconds_deviation({{"loss", "squared"}, {"transform", "scaled"}, {"scale", 0}}));
  EXPECT_FALSE(needs_seconds_deviation(filled));
  EXPECT_FALSE(needs_seconds_deviation({{"loss", "squared"}}));
  EXPECT_THROW(make_squared(scaled), ConfigError);
  EXPECT_NO_THROW(make_squared(filled));
}

}  // namespace
}  // namespace retort
