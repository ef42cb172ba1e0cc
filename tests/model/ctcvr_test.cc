#include "retort/model/ctcvr.h"

#include <cmath>

#include <gtest/gtest.h>

#include "retort/loss/bce.h"

namespace retort {
namespace {

struct Gradients {
  double value, a, b;
};

/// L_d = BCE(l(a, b), z) and its gradients.
template <class T>
Gradients read_loss(T a, T b, T z) {
  torch::Tensor ta = torch::tensor({a}).set_requires_grad(true);
  torch::Tensor tb = torch::tensor({b}).set_requires_grad(true);
  const torch::Tensor loss = bce_with_logits(ctcvr_logit(ta, tb), torch::tensor({z}));
  loss.backward();
  return {loss.item<double>(), ta.grad().item<double>(), tb.grad().item<double>()};
}

TEST(CtcvrLogit, MatchesGoldenValues) {
  const torch::Tensor l =
      ctcvr_logit(torch::tensor({0.4}, torch::kFloat64), torch::tensor({-0.7}, torch::kFloat64));
  EXPECT_NEAR(l.item<double>(), -1.3947415, 1e-7);
  EXPECT_NEAR(torch::sigmoid(l).item<double>(), 0.1986519, 1e-7);
  const Gradients read = read_loss(0.4, -0.7, 1.0), unread = read_loss(0.4, -0.7, 0.0);
  EXPECT_NEAR(read.value, 1.616201, 1e-6);
  EXPECT_NEAR(read.a, -0.401312, 1e-6);
  EXPECT_NEAR(read.b, -0.668188, 1e-6);
  EXPECT_NEAR(unread.value, 0.221460, 1e-6);
  EXPECT_NEAR(unread.a, 0.099484, 1e-6);
  EXPECT_NEAR(unread.b, 0.165642, 1e-6);
}

TEST(CtcvrLogit, IsStableInFloatWhereTheProductOfSigmoidsRoundsToOne) {
  const Gradients far = read_loss(20.F, 20.F, 0.F);
  EXPECT_NEAR(far.value, 19.3069, 1e-4);
  EXPECT_NEAR(far.a, 0.5, 1e-6);
  EXPECT_NEAR(far.b, 0.5, 1e-6);
}

TEST(CtcvrLogit, GradientsLieInZeroToOneEverywhere) {
  for (const float a : {-1000.F, -30.F, 0.F, 30.F, 1000.F}) {
    for (const float b : {-1000.F, -30.F, 0.F, 30.F, 1000.F}) {
      torch::Tensor ta = torch::tensor({a}).set_requires_grad(true);
      torch::Tensor tb = torch::tensor({b}).set_requires_grad(true);
      const torch::Tensor l = ctcvr_logit(ta, tb);
      l.sum().backward();
      EXPECT_TRUE(torch::isfinite(l).item<bool>()) << a << ' ' << b;
      for (const torch::Tensor& gradient : {ta.grad(), tb.grad()}) {
        EXPECT_GE(gradient.item<float>(), 0) << a << ' ' << b;
        EXPECT_LE(gradient.item<float>(), 1 + 1e-6) << a << ' ' << b;
      }
    }
  }
}

TEST(CtcvrLogit, GradientEqualsFiniteDifferences) {
  const auto value = [](double a, double b) {
    return ctcvr_logit(torch::tensor({a}, torch::kFloat64), torch::tensor({b}, torch::kFloat64))
        .item<double>();
  };
  torch::Tensor a = torch::tensor({1.3}, torch::kFloat64).set_requires_grad(true);
  torch::Tensor b = torch::tensor({-0.4}, torch::kFloat64).set_requires_grad(true);
  ctcvr_logit(a, b).backward();
  const double step = 1e-5;
  EXPECT_NEAR(a.grad().item<double>(),
              (value(1.3 + step, -0.4) - value(1.3 - step, -0.4)) / (2 * step), 1e-9);
  EXPECT_NEAR(b.grad().item<double>(),
              (value(1.3, -0.4 + step) - value(1.3, -0.4 - step)) / (2 * step), 1e-9);
}

TEST(CtcvrLogit, IsTheLogitOfTheProductAndNeverAboveItsFactors) {
  torch::manual_seed(1);
  const torch::Tensor a = 4 * torch::randn({500}, torch::kFloat64);
  const torch::Tensor b = 4 * torch::randn({500}, torch::kFloat64);
  const torch::Tensor p = torch::sigmoid(ctcvr_logit(a, b));
  EXPECT_TRUE(torch::allclose(p, torch::sigmoid(a) * torch::sigmoid(b), 1e-12, 1e-15));
  EXPECT_TRUE((p <= torch::minimum(torch::sigmoid(a), torch::sigmoid(b))).all().item<bool>());
}

}  // namespace
}  // namespace retort
