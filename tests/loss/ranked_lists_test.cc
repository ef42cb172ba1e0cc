#include "retort/loss/ranked_lists.h"

#include <cmath>
#include <functional>

#include <gtest/gtest.h>

namespace retort {
namespace {

using torch::kFloat64;

torch::Tensor row(std::vector<double> values) {
  return torch::tensor(values, kFloat64).unsqueeze(0);
}

/// The list that the golden values of the losses are of.
RankedLists golden() {
  return {row({.2, 1.1, -.4}), row({2, .5, -1}), torch::ones({1, 3}, torch::kBool)};
}

const std::vector<std::pair<const char*, std::function<torch::Tensor(const RankedLists&)>>>&
all_losses() {
  static const std::vector<std::pair<const char*, std::function<torch::Tensor(const RankedLists&)>>>
      losses{
          {"ranking_distillation",
           [](const RankedLists& lists) { return ranking_distillation(lists, 2); }},
          {"pair_logistic", pair_logistic},
          {"margin_mse", margin_mse},
          {"list_net", [](const RankedLists& lists) { return list_net(lists, 2); }},
          {"list_mle", list_mle},
          {"relaxed_ranking",
           [](const RankedLists& lists) {
             return relaxed_ranking(lists, row({0, -1}).expand({lists.student.size(0), 2}));
           }},
          {"collaborative", [](const RankedLists& lists) { return collaborative(lists, 2, .5); }},
      };
  return losses;
}

TEST(RankedLists, HaveTheGoldenValues) {
  const std::vector<double> expected{.561330, .626685, 3.84, .705868, 1.589809, 3.264724};
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(all_losses()[i].second(golden()).item<double>(), expected[i], 1e-6)
        << all_losses()[i].first;
}

TEST(RankedLists, CollaborativeIsTheCrossEntropyOfEachPlace) {
  // Targets sigmoid(1.25), sigmoid(.5), sigmoid(-.25).
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  const std::vector<double> s{.2, 1.1, -.4}, t{1.25, .5, -.25};
  double sum = 0;
  for (size_t i = 0; i < 3; ++i)
    sum -= sigmoid(t[i]) * std::log(sigmoid(s[i])) + sigmoid(-t[i]) * std::log(sigmoid(-s[i]));
  EXPECT_NEAR(collaborative(golden(), 2, .5).item<double>(), sum / 3, 1e-12);
}

TEST(RankedLists, GradientsEqualFiniteDifferences) {
  for (const auto& [name, loss] : all_losses()) {
    RankedLists lists = golden();
    lists.student.requires_grad_(true);
    loss(lists).backward();
    const torch::Tensor gradient = lists.student.grad();
    for (int64_t i = 0; i < 3; ++i) {
      const auto at = [&](double step) {
        RankedLists moved = golden();
        moved.student[0][i] += step;
        return loss(moved).item<double>();
      };
      EXPECT_NEAR(gradient[0][i].item<double>(), (at(1e-5) - at(-1e-5)) / 2e-5, 1e-8)
          << name << ", place " << i;
    }
  }
}

TEST(RankedLists, PaddingAndEmptyListsCountForNothing) {
  for (const auto& [name, loss] : all_losses()) {
    RankedLists padded;
    padded.student = torch::tensor({{.2, 1.1, -.4, 9., -7.}, {3., 1., 4., 1., 5.}}, kFloat64);
    padded.teacher = torch::tensor({{2., .5, -1., 50., 8.}, {1., 1., 1., 1., 1.}}, kFloat64);
    padded.valid = torch::tensor({{1, 1, 1, 0, 0}, {0, 0, 0, 0, 0}}, torch::kInt64) == 1;
    padded.student.requires_grad_(true);
    const torch::Tensor value = loss(padded);
    EXPECT_NEAR(value.item<double>(), loss(golden()).item<double>(), 1e-12) << name;
    value.backward();
    EXPECT_TRUE(padded.student.grad().isfinite().all().item<bool>()) << name;
    EXPECT_EQ(padded.student.grad()[1].abs().sum().item<double>(), 0) << name;
    EXPECT_EQ(padded.student.grad()[0].slice(0, 3).abs().sum().item<double>(), 0) << name;
  }
}

TEST(RankedLists, ManyEqualListsAreAsOne) {
  for (const auto& [name, loss] : all_losses()) {
    const RankedLists one = golden();
    const RankedLists many{one.student.expand({4, 3}).clone(), one.teacher.expand({4, 3}).clone(),
                           one.valid.expand({4, 3}).clone()};
    EXPECT_NEAR(loss(many).item<double>(), loss(one).item<double>(), 1e-12) << name;
  }
}

TEST(RankedLists, ListMleOfLargeLogitsIsFinite) {
  const RankedLists lists{row({500, -500, 900}), {}, torch::ones({1, 3}, torch::kBool)};
  EXPECT_NEAR(list_mle(lists).item<double>(), 400 + 1400, 1e-9);
}

TEST(RankDiscrepancy, CountsSampledItemsAboveAndForgivesRanksThatAreHighEnough) {
  // Of four sampled items two are above .2, none above 1.1, all above -4: ranks 1 + 99 * share.
  RankedLists lists = golden();
  lists.student = row({.2, 1.1, -4});
  const torch::Tensor got = rank_discrepancy(lists, row({1, .5, 0, -1}), 100, .01);
  EXPECT_NEAR(got[0][0].item<double>(), std::tanh(.01 * (50.5 - 1)), 1e-12);
  EXPECT_EQ(got[0][1].item<double>(), 0);  // rank 1, below its place 2
  EXPECT_NEAR(got[0][2].item<double>(), std::tanh(.01 * (100 - 3)), 1e-12);
  const torch::Tensor weighted = ranking_distillation(lists, 2, got);
  EXPECT_LT(weighted.item<double>(), ranking_distillation(lists, 2).item<double>());
}

TEST(RankedLists, LossesOfLogitsRefuseListsWithoutThem) {
  RankedLists lists = golden();
  lists.teacher = torch::Tensor();
  EXPECT_THROW(margin_mse(lists), std::exception);
  EXPECT_THROW(list_net(lists, 1), std::exception);
  EXPECT_THROW(collaborative(lists, 1, 0), std::exception);
  EXPECT_NO_THROW(pair_logistic(lists));
}

}  // namespace
}  // namespace retort
