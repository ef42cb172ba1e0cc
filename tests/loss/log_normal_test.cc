#include "retort/loss/log_normal.h"

#include <cmath>

#include "tests/loss/finite_differences.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

TEST(LogNormal, IsTheDensityOfLogSecondsOfKnownClicks) {
  const torch::Tensor mean = doubles({3, 4, 2, 1}), deviation = doubles({.2, -.3, .1, .7});
  const torch::Tensor clicks = doubles({1, 1, 0, 1}), known = doubles({1, 0, 1, 1});
  const torch::Tensor seconds = doubles({50, 9, 70, .5});
  // Row 1 is not known, row 2 no click; half a second counts as one.
  const double first = .2 + std::pow((std::log(50.0) - 3) / std::exp(.2), 2) / 2;
  const double last = .7 + std::pow((0 - 1) / std::exp(.7), 2) / 2;
  EXPECT_NEAR(log_normal(mean, deviation, clicks, known, seconds).item<double>(),
              (first + last) / 4, 1e-12);
  const auto of_mean = [&](const torch::Tensor& x) {
    return log_normal(x, deviation, clicks, known, seconds);
  };
  const auto of_deviation = [&](const torch::Tensor& x) {
    return log_normal(mean, x, clicks, known, seconds);
  };
  const auto gap = [](const auto& f, const torch::Tensor& at) {
    return (gradient_of(f, at) - numeric_gradient(f, at)).abs().max().template item<double>();
  };
  EXPECT_LT(gap(of_mean, mean), 1e-8);
  EXPECT_LT(gap(of_deviation, deviation), 1e-8);
}

TEST(LogNormal, IsLeastAtTheSamplesMeanAndDeviation) {
  const torch::Tensor seconds = doubles({20, 50, 90, 200}), one = torch::ones({4}, torch::kFloat64);
  const torch::Tensor logs = seconds.log();
  const double mean = logs.mean().item<double>(),
               deviation = std::log(logs.std(false).item<double>());
  const auto at = [&](double m, double s) {
    return log_normal(one * m, one * s, one, one, seconds).item<double>();
  };
  for (const double step : {-.05, .05}) {
    EXPECT_LT(at(mean, deviation), at(mean + step, deviation));
    EXPECT_LT(at(mean, deviation), at(mean, deviation + step));
  }
}

TEST(LogNormal, IsOfTheTeachersSecondsAlone) {
  EXPECT_THROW(make_loss("log_normal", {{"on", "teacher_click"}}), ConfigError);
  EXPECT_THROW(make_loss("log_normal", Json::object()), ConfigError);
}

}  // namespace
}  // namespace retort
