#include "retort/loss/bce.h"

#include <cmath>

#include "finite_differences.h"
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

double bce(double logit, double label) {
  return bce_with_logits(doubles({logit}), doubles({label})).item<double>();
}

TEST(Bce, MatchesGoldenValues) {
  // a = .4; and l = -1.3947415, the logit of sigmoid(.4) sigmoid(-.7).
  EXPECT_NEAR(bce(0.4, 1), 0.513015, 1e-6);
  EXPECT_NEAR(bce(0.4, 0), 0.913015, 1e-6);
  EXPECT_NEAR(bce(-1.3947415, 1), 1.616201, 1e-6);
  EXPECT_NEAR(bce(-1.3947415, 0), 0.221460, 1e-6);
}

TEST(Bce, IsTheMeanOfTheDefinitionOverProbabilities) {
  const std::vector<double> logits{-2, 0.3, 1.7, 0}, labels{0, 1, 0, 1};
  double sum = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double p = 1 / (1 + std::exp(-logits[i]));
    sum -= labels[i] * std::log(p) + (1 - labels[i]) * std::log(1 - p);
  }
  EXPECT_NEAR(bce_with_logits(doubles(logits), doubles(labels)).item<double>(), sum / 4, 1e-12);
}

TEST(Bce, GradientEqualsFiniteDifferencesAndSigmoidMinusLabel) {
  const torch::Tensor x = doubles({-3, -0.2, 0, 1.1, 4}), y = doubles({1, 0, 1, 0.3, 1});
  const auto f = [&](torch::Tensor at) { return bce_with_logits(at, y); };
  const torch::Tensor gradient = gradient_of(f, x);
  EXPECT_TRUE(torch::allclose(gradient, numeric_gradient(f, x), 1e-7, 1e-9));
  EXPECT_TRUE(torch::allclose(gradient, (torch::sigmoid(x) - y) / 5, 1e-12, 1e-12));
}

TEST(Bce, StaysExactWhereProbabilitiesRoundToZeroOrOne) {
  const auto value = [](float logit, float label) {
    return bce_with_logits(torch::tensor({logit}), torch::tensor({label})).item<float>();
  };
  EXPECT_FLOAT_EQ(value(1000, 0), 1000);
  EXPECT_FLOAT_EQ(value(-1000, 1), 1000);
  EXPECT_EQ(value(1000, 1), 0);
  EXPECT_EQ(value(-1000, 0), 0);
  EXPECT_NEAR(value(-30, 0) / std::exp(-30.0), 1, 1e-5);
}

TEST(Bce, TermChoosesLogitAndLabel) {
  LossInputs inputs;
  inputs.logits["student"] = torch::tensor({0.5F, -1.F});
  inputs.logits["teacher_click"] = torch::tensor({0.1F, 0.2F});
  inputs.logits["teacher_read"] = torch::tensor({-2.F, 3.F});
  inputs.labels["click"] = torch::tensor({1.F, 1.F});
  inputs.labels["read"] = torch::tensor({0.F, 1.F});
  const auto term = [&](const char* on, const char* label) {
    return make_bce({{"loss", "bce"}, {"weight", 2.0}, {"on", on}, {"label", label}})(inputs);
  };
  EXPECT_TRUE(torch::equal(term("student", "click"),
                           bce_with_logits(inputs.logits["student"], inputs.labels["click"])));
  EXPECT_TRUE(torch::equal(term("teacher_click", "read"),
                           bce_with_logits(inputs.logits["teacher_click"], inputs.labels["read"])));
  EXPECT_TRUE(torch::equal(term("teacher_read", "read"),
                           bce_with_logits(inputs.logits["teacher_read"], inputs.labels["read"])));
}

TEST(KnownBce, CountsTheRowsWhoseLabelIsKnownByTheWholeBatch) {
  const double nan = std::nan("");
  const torch::Tensor x = torch::tensor({0.3, -1.2, 2.0, 0.7}, torch::kFloat64);
  const torch::Tensor y = torch::tensor({1.0, nan, 0.0, nan}, torch::kFloat64);
  const double expected = (std::log1p(std::exp(-0.3)) + std::log1p(std::exp(2.0))) / 4;
  EXPECT_NEAR(known_bce(x, y).item<double>(), expected, 1e-12);
  const torch::Tensor all = torch::tensor({1.0, 1.0, 0.0, 0.0}, torch::kFloat64);
  EXPECT_NEAR(known_bce(x, all).item<double>(), bce_with_logits(x, all).item<double>(), 1e-12);
  const auto of = [&](const torch::Tensor& logits) { return known_bce(logits, y); };
  const torch::Tensor gradient = gradient_of(of, x);
  EXPECT_TRUE(torch::allclose(gradient, numeric_gradient(of, x), 1e-6, 1e-8));
  EXPECT_EQ(gradient[1].item<double>(), 0);
}

TEST(Bce, TakesAnyLabelByItsName) {
  LossInputs inputs;
  inputs.logits["teacher_share"] = torch::tensor({0.5F, -1.F});
  inputs.labels["share"] = torch::tensor({1.F, std::nanf("")});
  EXPECT_TRUE(torch::equal(make_bce({{"on", "teacher_share"}, {"label", "share"}})(inputs),
                           known_bce(inputs.logits["teacher_share"], inputs.labels["share"])));
  EXPECT_THROW(make_bce({{"on", "teacher_share"}, {"label", "follow"}})(inputs), ConfigError);
  EXPECT_THROW(make_bce({{"on", "share"}, {"label", "share"}}), ConfigError);
}

}  // namespace
}  // namespace retort
