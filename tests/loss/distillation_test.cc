#include "retort/loss/distillation.h"

#include <cmath>

#include "finite_differences.h"
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// Logit of pCTCVR for a = .4, b = -.7: -1.3947415.
const double kRead = sigmoid(0.4) * sigmoid(-0.7);
const double kTeacher = std::log(kRead / (1 - kRead)), kStudent = -1.3;

TEST(KlBernoulli, MatchesGoldenValues) {
  const auto f = [](torch::Tensor s) { return kl_bernoulli(doubles({kTeacher}), s); };
  EXPECT_NEAR(f(doubles({kStudent})).item<double>(), 0.000728054, 1e-9);
  EXPECT_NEAR(gradient_of(f, doubles({kStudent})).item<double>(), 0.015513131, 1e-8);
}

TEST(KlBernoulli, GradientEqualsFiniteDifferencesAtAnyTemperature) {
  const torch::Tensor t = doubles({-4, 0, 2.5, 1}), s = doubles({-1, 0.7, 2.5, -3});
  for (const double temperature : {1.0, 3.0}) {
    const auto f = [&](torch::Tensor at) { return kl_bernoulli(t, at, temperature); };
    const torch::Tensor gradient = gradient_of(f, s);
    EXPECT_TRUE(torch::allclose(gradient, numeric_gradient(f, s), 1e-7, 1e-9));
    const torch::Tensor expected =
        temperature * (torch::sigmoid(s / temperature) - torch::sigmoid(t / temperature)) / 4;
    EXPECT_TRUE(torch::allclose(gradient, expected, 1e-10, 1e-12));
  }
}

TEST(KlBernoulli, IsZeroWhenMatchedAndFiniteAtTheEnds) {
  const torch::Tensor t = doubles({-700, -3, 0, 5, 700});
  EXPECT_EQ(kl_bernoulli(t, t).item<double>(), 0);
  const torch::Tensor far = torch::tensor({200.F, -200.F});
  const auto f = [&](torch::Tensor s) { return kl_bernoulli(far, s); };
  EXPECT_FLOAT_EQ(f(-far).item<float>(), 200);  // log odds apart: all mass on the other side
  EXPECT_TRUE(torch::allclose(gradient_of(f, -far), torch::tensor({-0.5F, 0.5F})));
}

TEST(Chi2Literal, MatchesGoldenValueAndTheFormulaAsPrinted) {
  EXPECT_NEAR(chi2_literal(doubles({kTeacher}), doubles({kStudent})).item<double>(), 1.001429944,
              1e-8);
  const double p = sigmoid(-0.9), q = sigmoid(2);
  EXPECT_NEAR(chi2_literal(doubles({-0.9}), doubles({2})).item<double>(),
              p * (p / q) + (1 - p) * (1 - p) / (1 - q), 1e-12);
}

TEST(Chi2Literal, GradientEqualsFiniteDifferencesAndVanishesWhenMatched) {
  const torch::Tensor t = doubles({-2, 0.3, 1.5}), s = doubles({-1, 0.7, -1.2});
  const auto f = [&](torch::Tensor at) { return chi2_literal(t, at); };
  EXPECT_TRUE(torch::allclose(gradient_of(f, s), numeric_gradient(f, s), 1e-7, 1e-8));
  EXPECT_NEAR(f(t).item<double>(), 1, 1e-12);
  EXPECT_NEAR(gradient_of(f, t).abs().max().item<double>(), 0, 1e-12);
}

TEST(Chi2Literal, GradientGrowsWithoutBoundAsTheStudentFallsAway) {
  const auto at = [](double s) {
    return gradient_of([](torch::Tensor x) { return chi2_literal(doubles({0}), x); }, doubles({s}))
        .item<double>();
  };
  EXPECT_NEAR(at(-20) / (-0.25 * std::exp(20.0)), 1, 1e-6);
}

TEST(Distillation, NoGradientReachesTheTeacher) {
  LossInputs inputs;
  inputs.logits["teacher_read"] = torch::tensor({0.3F, -2.F}).set_requires_grad(true);
  inputs.logits["teacher_click"] = torch::tensor({1.F, 0.5F}).set_requires_grad(true);
  inputs.logits["student"] = torch::tensor({1.F, 1.F}).set_requires_grad(true);
  for (const char* target : {"read", "click"}) {
    make_kl_bernoulli({{"target", target}})(inputs).backward();
    make_chi2_literal({{"target", target}})(inputs).backward();
  }
  EXPECT_TRUE(inputs.logits["student"].grad().defined());
  EXPECT_FALSE(inputs.logits["teacher_read"].grad().defined());
  EXPECT_FALSE(inputs.logits["teacher_click"].grad().defined());
}

TEST(Distillation, TermChoosesTheTeachersHeadAndTemperature) {
  LossInputs inputs;
  inputs.logits["student"] = torch::tensor({0.5F});
  inputs.logits["teacher_click"] = torch::tensor({2.F});
  inputs.logits["teacher_read"] = torch::tensor({-1.F});
  EXPECT_TRUE(
      torch::equal(make_kl_bernoulli({{"target", "click"}, {"temperature", 2.0}})(inputs),
                   kl_bernoulli(inputs.logits["teacher_click"], inputs.logits["student"], 2)));
  EXPECT_TRUE(torch::equal(make_kl_bernoulli(Json::object())(inputs),
                           kl_bernoulli(inputs.logits["teacher_read"], inputs.logits["student"])));
  EXPECT_TRUE(torch::equal(make_chi2_literal({{"target", "click"}})(inputs),
                           chi2_literal(inputs.logits["teacher_click"], inputs.logits["student"])));
  EXPECT_THROW(make_kl_bernoulli({{"temperature", 0.0}}), ConfigError);
}

TEST(FusedLogit, IsThatOfTheProductOfPowers) {
  const torch::Tensor a = doubles({0.4, -3, 9}), b = doubles({-0.7, 2, -1});
  const torch::Tensor p = torch::sigmoid(a) * torch::sigmoid(b);
  EXPECT_TRUE(torch::allclose(torch::sigmoid(fused_logit({a, b}, {1, 1})), p, 1e-12));
  EXPECT_NEAR(fused_logit({a, b}, {1, 1})[0].item<double>(), -1.3947415, 1e-7);  // methods A4
  const torch::Tensor q = torch::pow(torch::sigmoid(a), 0.5) * torch::pow(torch::sigmoid(b), 2);
  EXPECT_TRUE(torch::allclose(torch::sigmoid(fused_logit({a, b}, {0.5, 2})), q, 1e-12));
  for (const float extreme : {-60.F, 15.F})
    EXPECT_TRUE(std::isfinite(
        fused_logit({torch::full({1}, extreme), torch::zeros({1})}, {1, 0.1}).item<float>()));
}

TEST(KlBernoulli, TakesAnyTaskOrWeightsOfTasks) {
  LossInputs inputs;
  inputs.logits["student"] = torch::tensor({0.5F, -1.F});
  inputs.logits["teacher_share"] = torch::tensor({-2.F, 1.F});
  inputs.logits["teacher_read"] = torch::tensor({0.1F, 0.2F});
  const auto loss = [&](const Json& target) {
    return make_kl_bernoulli({{"target", target}})(inputs).item<double>();
  };
  EXPECT_DOUBLE_EQ(
      loss("share"),
      kl_bernoulli(inputs.logits["teacher_share"], inputs.logits["student"]).item<double>());
  const Json weights{{"read", 1.0}, {"share", 0.5}};
  EXPECT_DOUBLE_EQ(
      loss(weights),
      kl_bernoulli(
          fused_logit({inputs.logits["teacher_read"], inputs.logits["teacher_share"]}, {1, 0.5}),
          inputs.logits["student"])
          .item<double>());
  for (const Json& wrong : {Json{{"read", -1.0}}, Json{{"read", 0.0}}, Json::object(), Json("")})
    EXPECT_THROW(make_kl_bernoulli({{"target", wrong}}), ConfigError) << wrong;
  EXPECT_THROW(loss("follow"), ConfigError);
}

}  // namespace
}  // namespace retort
