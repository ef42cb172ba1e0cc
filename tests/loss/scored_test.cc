#include "retort/loss/scored.h"

#include <cmath>

#include "tests/loss/finite_differences.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/loss/distillation.h"

namespace retort {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;
using torch::kFloat64;
using torch::kInt64;

double softplus(double x) { return std::log1p(std::exp(x)); }
double probability_of(double x) { return 1 / (1 + std::exp(-x)); }

/// Users and items of one dimension, user 1: the list of the golden values of methods D5 is that of
/// row 1, s = (.2, 1.1, -.4), t = (2, .5, -1), outside of it U = {0, -1}; row 0 has no list.
LossInputs golden_inputs() {
  LossInputs inputs;
  inputs.catalogue.users["student"] = torch::tensor({{5.}, {1.}}, kFloat64);
  ScoredInputs& scored = inputs.scored;
  scored.list_row = torch::tensor({1}, kInt64);
  scored.list_items = doubles({-.4, .2, 0., 1.1, -1.}).unsqueeze(1);
  scored.list_places = torch::tensor({{1, 3, 0}}, kInt64);
  scored.list_teacher = doubles({2, .5, -1}).unsqueeze(0);
  scored.list_valid = torch::ones({1, 3}, torch::kBool);
  scored.rest_places = torch::tensor({{2, 4}}, kInt64);
  scored.rest_valid = torch::ones({1, 2}, torch::kBool);
  scored.length = 3;
  scored.catalogue = 11;
  return inputs;
}

double value_of(const char* loss, Json term, const LossInputs& inputs) {
  term["loss"] = loss;
  return make_loss(loss, term)(inputs).item<double>();
}

TEST(ScoredLosses, TermsOnListsHaveTheGoldenValues) {
  const LossInputs inputs = golden_inputs();
  EXPECT_NEAR(value_of("ranking_distillation", {{"tau", 2.0}}, inputs), .561330, 1e-6);
  EXPECT_NEAR(value_of("pair_logistic", Json::object(), inputs), .626685, 1e-6);
  EXPECT_NEAR(value_of("margin_mse", Json::object(), inputs), 3.84, 1e-6);
  EXPECT_NEAR(value_of("list_net", {{"tau", 2.0}}, inputs), .705868, 1e-6);
  EXPECT_NEAR(value_of("list_mle", Json::object(), inputs), 1.589809, 1e-6);
  EXPECT_NEAR(value_of("relaxed_ranking", Json::object(), inputs), 3.264724, 1e-6);
}

TEST(ScoredLosses, PlacesThatAreNotThereCountForNothing) {
  LossInputs inputs = golden_inputs();
  ScoredInputs& scored = inputs.scored;
  scored.list_places = torch::tensor({{1, 3, 0, 2}}, kInt64);
  scored.list_teacher = doubles({2, .5, -1, 0}).unsqueeze(0);
  scored.list_valid = torch::tensor({{true, true, true, false}});
  scored.rest_places = torch::tensor({{2, 4, 0}}, kInt64);
  scored.rest_valid = torch::tensor({{true, true, false}});
  EXPECT_NEAR(value_of("relaxed_ranking", Json::object(), inputs), 3.264724, 1e-6);
  EXPECT_NEAR(value_of("list_mle", Json::object(), inputs), 1.589809, 1e-6);
}

TEST(ScoredLosses, TheStudentsDelayWeighsOnlyAfterTheFirstSteps) {
  LossInputs inputs = golden_inputs();
  const Json term{{"tau", 2.0}, {"mu", .3}, {"mu_after", 5}};
  inputs.scored.step = 5;
  EXPECT_NEAR(value_of("ranking_distillation", term, inputs), .561330, 1e-6);
  inputs.scored.step = 6;
  // Of U = {0, -1} above s: none of .2 and of 1.1, 0 of -.4; estimated ranks 1, 1, 6 of 11.
  const double factor = std::tanh(.3 * (6 - 3));
  EXPECT_NEAR(value_of("ranking_distillation", term, inputs), .186324 * factor * softplus(.4),
              1e-6);
}

TEST(ScoredLosses, GradientsReachTheVectorsAsFiniteDifferencesSay) {
  for (const auto& [loss, term] : std::vector<std::pair<const char*, Json>>{
           {"ranking_distillation", {{"tau", 2.0}}},
           {"pair_logistic", Json::object()},
           {"margin_mse", Json::object()},
           {"list_net", {{"tau", 2.0}}},
           {"list_mle", Json::object()},
           {"relaxed_ranking", Json::object()},
           {"collaborative", {{"scale", 2.0}, {"shift", .5}}}}) {
    const Loss made = make_loss(loss, term);
    const auto of_items = [&](const torch::Tensor& items) {
      LossInputs inputs = golden_inputs();
      inputs.scored.list_items = items.unsqueeze(1);
      return made(inputs);
    };
    const torch::Tensor at = golden_inputs().scored.list_items.squeeze(1);
    EXPECT_LT(
        (gradient_of(of_items, at) - numeric_gradient(of_items, at)).abs().max().item<double>(),
        1e-8)
        << loss;
  }
}

TEST(ScoredLosses, RankWeightedClicksAreThoseOfTheFormula) {
  const torch::Tensor s = doubles({.3, -1, 2, .5}), y = doubles({1, 1, 0, 1});
  const torch::Tensor rank = torch::tensor({2, 0, 1, 7}, kInt64);  // 7 is beyond K = 4
  double sum = 0;
  for (int k = 1; k <= 4; ++k) sum += std::exp(-k / 1.5);
  const double weight = .5 + 2 * 4 * std::exp(-2 / 1.5) / sum;
  const double expected =
      (weight * softplus(-.3) + .5 * softplus(1) + softplus(2) + .5 * softplus(-.5)) / 4;
  EXPECT_NEAR(rank_weighted_bce(s, y, rank, 4, 1.5, .5, 2).item<double>(), expected, 1e-7);
  const auto f = [&](const torch::Tensor& x) {
    return rank_weighted_bce(x, y, rank, 4, 1.5, .5, 2);
  };
  EXPECT_LT((gradient_of(f, s) - numeric_gradient(f, s)).abs().max().item<double>(), 1e-9);
}

TEST(ScoredLosses, InBatchKlIsTheMeanOverKnownPairs) {
  const torch::Tensor users = torch::tensor({{1., .5}, {-1., 2.}}, kFloat64);
  const torch::Tensor items = torch::tensor({{.2, .4}, {1., -1.}, {.3, .3}}, kFloat64);
  const std::vector<std::array<double, 3>> pairs{{0, 1, .7}, {1, 0, -1.5}, {1, 2, 2}};
  std::vector<int64_t> group, row;
  std::vector<double> teacher;
  double sum = 0;
  for (const auto& [g, r, t] : pairs) {
    group.push_back(static_cast<int64_t>(g));
    row.push_back(static_cast<int64_t>(r));
    teacher.push_back(t);
    const double s = (users[group.back()] * items[row.back()]).sum().item<double>();
    const double p = probability_of(t), q = probability_of(s);
    sum += p * std::log(p / q) + (1 - p) * std::log((1 - p) / (1 - q));
  }
  group.push_back(0);
  row.push_back(0);
  teacher.push_back(std::nan(""));
  const auto f = [&](const torch::Tensor& flat) {
    return in_batch_kl(flat.view({2, 2}), items, torch::tensor(group), torch::tensor(row),
                       torch::tensor(teacher, kFloat64), 1);
  };
  EXPECT_NEAR(f(users.flatten()).item<double>(), sum / 3, 1e-12);
  EXPECT_LT((gradient_of(f, users.flatten()) - numeric_gradient(f, users.flatten()))
                .abs()
                .max()
                .item<double>(),
            1e-9);
  const torch::Tensor none = torch::zeros({0}, kInt64);
  EXPECT_EQ(in_batch_kl(users, items, none, none, torch::zeros({0}, kFloat64), 1).item<double>(),
            0);
}

TEST(ScoredLosses, RowsWithoutAScoreAddNothingToTheMeanOfAll) {
  LossInputs inputs;
  inputs.logits["student"] = doubles({.2, -1, 3});
  inputs.logits["scored_read"] = doubles({1, std::nan(""), -2});
  const double expected = kl_bernoulli(doubles({1, -2}), doubles({.2, 3})).item<double>() * 2 / 3;
  EXPECT_NEAR(value_of("kl_bernoulli", {{"target", "scored_read"}}, inputs), expected, 1e-12);
  inputs.logits["scored_click"] = doubles({.4, .1, 0});
  const Json fused{{"target", {{"scored_read", 1.0}, {"scored_click", .5}}}};
  inputs.logits["student"].requires_grad_(true);
  const torch::Tensor loss = make_loss("kl_bernoulli", fused)(inputs);
  loss.backward();
  EXPECT_TRUE(inputs.logits["student"].grad().isfinite().all().item<bool>());
  EXPECT_EQ(inputs.logits["student"].grad()[1].item<double>(), 0);
}

TEST(ScoredLosses, WhatIsMissingIsNamedWithItsRemedy) {
  LossInputs inputs = golden_inputs();
  inputs.scored.rest_places = torch::zeros({1, 0}, kInt64);
  EXPECT_THAT([&] { value_of("relaxed_ranking", Json::object(), inputs); },
              ThrowsMessage<ConfigError>(HasSubstr("scores.lists.rest")));
  EXPECT_THAT(
      [&] {
        value_of("list_net", {{"on", "student_click"}}, golden_inputs());
      },
      ThrowsMessage<ConfigError>(HasSubstr("student_click")));
  EXPECT_THAT([&] { value_of("list_net", Json::object(), LossInputs()); },
              ThrowsMessage<ConfigError>(HasSubstr("retort score")));
  EXPECT_THAT(
      [&] {
        make_loss("list_net", {{"tau", 0.0}});
      },
      ThrowsMessage<ConfigError>(HasSubstr("terms.tau")));
  EXPECT_THAT(
      [&] {
        make_loss("in_batch_kl", {{"target", "teacher_read"}});
      },
      ThrowsMessage<ConfigError>(HasSubstr("scored_NAME")));
}

}  // namespace
}  // namespace retort
