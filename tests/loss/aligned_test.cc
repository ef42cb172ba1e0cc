#include "retort/loss/aligned.h"

#include <cmath>

#include "finite_differences.h"
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

TEST(WeightedBce, MatchesGoldenValues) {
  const auto loss = [](double y) {
    return weighted_bce(doubles({0.3}), doubles({y}), doubles({1.7}), doubles({1})).item<double>();
  };
  EXPECT_NEAR(loss(1), 0.942404, 1e-6);
  EXPECT_NEAR(loss(0), 0.854355, 1e-6);
}

TEST(WeightedBce, CountsOnlyRowsWhoseMinutesAreKnown) {
  const torch::Tensor s = doubles({0.3, -1, 2}), y = doubles({1, 0, 1}), w = doubles({1.7, 0, 9});
  const double two = weighted_bce(s, y, w, doubles({1, 1, 0})).item<double>();
  EXPECT_NEAR(two, (0.942404 + std::log1p(std::exp(-1.0))) / 2, 1e-6);
  EXPECT_EQ(weighted_bce(s, y, w, doubles({0, 0, 0})).item<double>(), 0);
}

TEST(WeightedBce, ItsOddsAreTheExpectedWeightTimesTheOddsOfAClick) {
  // Clicks with p = .25 and mean weight 3: the best constant logit is log(3 p / (1 - p)).
  const torch::Tensor y = doubles({1, 0, 0, 0, 1, 0, 0, 0}), w = doubles({2, 0, 0, 0, 4, 0, 0, 0}),
                      known = torch::ones_like(y);
  const auto f = [&](torch::Tensor s) { return weighted_bce(s.expand({8}), y, w, known); };
  EXPECT_NEAR(gradient_of(f, doubles({std::log(3 * 0.25 / 0.75)})).item<double>(), 0, 1e-12);
}

TEST(WeightedBce, GradientEqualsFiniteDifferences) {
  const torch::Tensor y = doubles({1, 0, 1}), w = doubles({0.4, 1, 3}), known = doubles({1, 1, 0});
  const auto f = [&](torch::Tensor s) { return weighted_bce(s, y, w, known); };
  const torch::Tensor s = doubles({-1, 0.5, 2});
  EXPECT_TRUE(torch::allclose(gradient_of(f, s), numeric_gradient(f, s), 1e-7, 1e-9));
}

TEST(SoftBce, GradientIsTheDifferenceOfProbabilities) {
  const torch::Tensor t = doubles({-4, 0, 2.5}), s = doubles({-1, 0.7, 2.5});
  const auto f = [&](torch::Tensor x) { return soft_bce(t, x); };
  const torch::Tensor expected = (torch::sigmoid(s) - torch::sigmoid(t)) / 3;
  EXPECT_TRUE(torch::allclose(gradient_of(f, s), expected, 1e-10, 1e-12));
  EXPECT_TRUE(torch::allclose(gradient_of(f, s), numeric_gradient(f, s), 1e-7, 1e-9));
}

TEST(SoftBce, PassesGradientToTheTeacherOnlyWhenNotDetached) {
  torch::Tensor teacher = doubles({0.3, -2}).set_requires_grad(true);
  torch::Tensor student = doubles({1, 1}).set_requires_grad(true);
  soft_bce(teacher, student).backward();
  EXPECT_FALSE(teacher.grad().defined());
  soft_bce(teacher, student, false).backward();
  EXPECT_TRUE(teacher.grad().defined());
}

TEST(SoftBce, LeavesOutRowsWithoutALoggedScore) {
  const double nan = std::nan("");
  const torch::Tensor all = soft_bce(doubles({0.5, 1}), doubles({0.2, -1}));
  const torch::Tensor some = soft_bce(doubles({0.5, nan, 1}), doubles({0.2, 3, -1}));
  EXPECT_DOUBLE_EQ(some.item<double>(), all.item<double>());
  EXPECT_EQ(soft_bce(doubles({nan}), doubles({3})).item<double>(), 0);
}

TEST(SoftBce, OnAStudentOfOneVectorLearnsAnyLogitOfAnyTeacher) {
  LossInputs inputs;
  inputs.logits["student"] = doubles({0.2, -1});
  inputs.logits["teacher_click"] = doubles({0.5, 1});
  inputs.logits["teacher_read"] = doubles({-0.5, 2});
  for (const auto& [target, logits] : {std::pair("teacher_click", inputs.logits["teacher_click"]),
                                       std::pair("teacher_read", inputs.logits["teacher_read"])})
    EXPECT_DOUBLE_EQ(make_soft_bce({{"on", "student"}, {"target", target}})(inputs).item<double>(),
                     soft_bce(logits, inputs.logits["student"]).item<double>());
}

TEST(AlignedLosses, NameTheLogitThatIsMissing) {
  LossInputs inputs;
  inputs.logits["student_click"] = torch::zeros(2);
  EXPECT_THROW(make_soft_bce({{"target", "logged_click"}})(inputs), ConfigError);
  EXPECT_THROW(make_weighted_bce({{"on", "teacher_dwm"}})(inputs), ConfigError);
  EXPECT_THROW(make_soft_bce({{"target", "teacher_reed"}})(inputs), ConfigError);
  EXPECT_THROW(make_soft_bce({{"target", "click"}}), ConfigError);
  EXPECT_THROW(make_soft_bce({{"on", "teacher_click"}}), ConfigError);
}

}  // namespace
}  // namespace retort
