#include "retort/loss/softmax.h"

#include <cmath>
#include <set>

#include "finite_differences.h"
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

/// One row whose logits over four items are (1, -.5, .3, 2); its item is the third.
LossInputs golden_row(bool doubles_too = false) {
  LossInputs inputs;
  const auto type = doubles_too ? torch::kFloat64 : torch::kFloat32;
  inputs.catalogue.users["student_click"] = torch::ones({1, 1}, type);
  inputs.catalogue.users["student_dwm"] = inputs.catalogue.users["student_click"];
  inputs.catalogue.items = torch::tensor({1.0, -0.5, 0.3, 2.0}, type).unsqueeze(1);
  inputs.catalogue.targets = torch::tensor({2}, torch::kInt64);
  inputs.catalogue.shown = torch::tensor({0, 1, 2, 3}, torch::kInt64);
  inputs.catalogue.log_q = torch::tensor({0.1, 0.2, 0.3, 0.4}, type).log();
  inputs.labels["click"] = torch::ones({1});
  inputs.labels["known"] = torch::ones({1});
  inputs.labels["reward"] = torch::tensor({1.5F});
  return inputs;
}

double golden(const NegativeSet& set, bool doubles_too = false) {
  return softmax_loss(golden_row(doubles_too), "student_click", 0.5, set).item<double>();
}

TEST(Softmax, MatchesGoldenValuesOfEveryNegativeSet) {
  for (const bool doubles_too : {false, true}) {
    EXPECT_NEAR(golden({}, doubles_too), 2.190203, 2e-6);
    EXPECT_NEAR(golden({.kind = "batch"}, doubles_too), 2.190203, 2e-6);
    EXPECT_NEAR(golden({.kind = "batch_corrected"}, doubles_too), 2.469853, 2e-6);
    EXPECT_NEAR(golden({.kind = "hard", .low = 2, .high = 4}, doubles_too), 1.242159, 2e-6);
    EXPECT_NEAR(golden({.kind = "mixed", .low = 2, .high = 4}, doubles_too), 2.433623, 2e-6);
    EXPECT_NEAR(golden({.kind = "uniform", .count = 3}, doubles_too), 2.190203, 2e-6);
  }
}

TEST(Softmax, WeighsWhatWasShownAndNotClicked) {
  LossInputs inputs = golden_row();
  inputs.labels["click"] = torch::zeros({1});
  EXPECT_NEAR(softmax_loss(inputs, "student_click", 0.5, {}).item<double>(), 1.095102, 2e-6);
  EXPECT_EQ(softmax_loss(inputs, "student_click", 0, {}).item<double>(), 0);
  EXPECT_EQ(softmax_loss(inputs, "student_dwm", 0.5, {}).item<double>(), 0);
}

TEST(Softmax, OfMinutesIsRewardedAndCountsKnownRowsOnly) {
  LossInputs inputs = golden_row();
  EXPECT_NEAR(softmax_loss(inputs, "student_dwm", 0.5, {}).item<double>(), 1.5 * 2.190203, 3e-6);
  inputs.labels["known"] = torch::zeros({1});
  EXPECT_EQ(softmax_loss(inputs, "student_dwm", 0.5, {}).item<double>(), 0);
}

TEST(Softmax, TakesAStudentOfOneVectorAsWell) {
  LossInputs inputs = golden_row();
  inputs.catalogue.users["student"] = inputs.catalogue.users["student_click"];
  inputs.catalogue.users.erase("student_click");
  EXPECT_NEAR(softmax_loss(inputs, "student", 0.5, {}).item<double>(), 2.190203, 2e-6);
  EXPECT_THROW(softmax_loss(inputs, "student_click", 0.5, {}), ConfigError);
}

TEST(Softmax, RowsWhoseItemIsNoCandidateDoNotCount) {
  LossInputs inputs = golden_row();
  LossInputs two = inputs;
  two.catalogue.users["student_click"] = torch::ones({2, 1});
  two.catalogue.targets = torch::tensor({-1, 2}, torch::kInt64);
  two.labels["click"] = torch::ones({2});
  EXPECT_NEAR(softmax_loss(two, "student_click", 0.5, {}).item<double>(),
              softmax_loss(inputs, "student_click", 0.5, {}).item<double>(), 1e-7);
}

TEST(Softmax, OnAnotherTaskCountsItsPositivesAmongTheRowsThatKnow) {
  LossInputs inputs = golden_row();
  inputs.catalogue.users["student_share"] = torch::ones({3, 1});
  inputs.catalogue.targets = torch::tensor({2, 0, 1}, torch::kInt64);
  inputs.labels["click"] = torch::ones({3});
  inputs.labels["share"] = torch::tensor({1.F, 0.F, std::nanf("")});
  EXPECT_NEAR(softmax_loss(inputs, "student_share", 0.5, {}).item<double>(), 2.190203 / 2, 2e-6);
  inputs.labels["share"] = torch::zeros({3});
  EXPECT_EQ(softmax_loss(inputs, "student_share", 0.5, {}).item<double>(), 0);
  EXPECT_THROW(make_softmax({{"on", "teacher_share"}}), ConfigError);
}

/// Six rows on nine items in float64.
LossInputs random_rows(const torch::Tensor& users) {
  torch::manual_seed(5);
  LossInputs inputs;
  inputs.catalogue.users["student_click"] = users;
  inputs.catalogue.items = torch::randn({9, 3}, torch::kFloat64);
  inputs.catalogue.targets = torch::tensor({4, 0, 4, 8, 2, 0}, torch::kInt64);
  inputs.catalogue.shown = inputs.catalogue.targets;
  inputs.catalogue.log_q = torch::randn({9}, torch::kFloat64);
  inputs.labels["click"] = torch::tensor({1.F, 0.F, 1.F, 1.F, 0.F, 0.F});
  inputs.catalogue.draws = Rng(7, "test");
  return inputs;
}

TEST(Softmax, GradientsEqualFiniteDifferences) {
  const torch::Tensor at = torch::linspace(-1, 1, 18, torch::kFloat64);
  for (const NegativeSetEntry& entry : negative_sets()) {
    const NegativeSet set{
        .kind = std::string(entry.name), .count = 4, .low = 2, .high = 5, .temperature = 0.7};
    const auto f = [&](torch::Tensor x) {
      return softmax_loss(random_rows(x.view({6, 3})), "student_click", 0.5, set);
    };
    EXPECT_TRUE(torch::allclose(gradient_of(f, at), numeric_gradient(f, at), 1e-6, 1e-8))
        << entry.name;
  }
}

TEST(Softmax, RowsOfOneUserShareTheSumOverTheCatalogue) {
  const torch::Tensor owners = torch::tensor({0, 0, 0, 2, 5, 5}, torch::kInt64);
  const torch::Tensor distinct = torch::linspace(-1, 1, 18, torch::kFloat64).view({6, 3});
  for (const double unclicked : {0.0, 0.5}) {
    torch::Tensor values[2], gradients[2];
    for (const bool known : {false, true}) {
      const auto f = [&](const torch::Tensor& x) {
        LossInputs inputs = random_rows(x.index_select(0, owners));
        if (known) inputs.catalogue.user_of_row = owners;
        return softmax_loss(inputs, "student_click", unclicked, {.temperature = 0.7});
      };
      values[known ? 1 : 0] = f(distinct);
      gradients[known ? 1 : 0] = gradient_of(f, distinct);
    }
    EXPECT_NEAR(values[0].item<double>(), values[1].item<double>(), 1e-12);
    EXPECT_TRUE(torch::allclose(gradients[0], gradients[1], 1e-10, 1e-12));
  }
}

/// Items that move are those of the rows, each at its own moment: rows 0 and 2 show one item.
TEST(Softmax, OfMovingItemsComparesTheRowsOfTheBatch) {
  const torch::Tensor users = torch::linspace(-1, 1, 18, torch::kFloat64).view({6, 3});
  LossInputs inputs = random_rows(users);
  CatalogueInputs& catalogue = inputs.catalogue;
  const torch::Tensor items = torch::randn({6, 3}, torch::kFloat64),
                      shares = torch::randn({6}, torch::kFloat64);
  catalogue.items = items;
  catalogue.item_of_row = torch::tensor({4, 0, 4, 8, 2, 0}, torch::kInt64);
  catalogue.targets = catalogue.shown = torch::arange(6);
  catalogue.log_q = shares;
  for (const bool corrected : {false, true}) {
    const torch::Tensor losses =
        negative_set(corrected ? "batch_corrected" : "batch").loss(users, catalogue, {});
    const int64_t item_of[] = {4, 0, 4, 8, 2, 0};
    for (int64_t row = 0; row < 6; ++row) {
      const auto logit = [&](int64_t other) {
        return (users[row] * items[other]).sum().item<double>() -
               (corrected ? shares[other].item<double>() : 0);
      };
      double sum = std::exp(logit(row));
      for (int64_t other = 0; other < 6; ++other)
        if (item_of[other] != item_of[row]) sum += std::exp(logit(other));
      EXPECT_NEAR(losses[row].item<double>(), std::log(sum) - logit(row), 1e-12);
    }
  }
  EXPECT_NO_THROW(softmax_loss(inputs, "student_click", 0.5, {.kind = "batch"}));
  EXPECT_THROW(softmax_loss(inputs, "student_click", 0.5, {}), ConfigError);
}

TEST(Softmax, InTheBatchMasksAccidentalHits) {
  const torch::Tensor users = torch::linspace(-1, 1, 18, torch::kFloat64).view({6, 3});
  const LossInputs inputs = random_rows(users);
  const CatalogueInputs& catalogue = inputs.catalogue;
  const torch::Tensor losses = negative_set("batch").loss(users, catalogue, {});
  const int64_t items[] = {4, 0, 4, 8, 2, 0};
  for (int64_t row = 0; row < 6; ++row) {
    const auto logit = [&](int64_t item) {
      return (users[row] * catalogue.items[item]).sum().item<double>();
    };
    double sum = std::exp(logit(items[row]));
    for (const int64_t other : items)
      if (other != items[row]) sum += std::exp(logit(other));
    EXPECT_NEAR(losses[row].item<double>(), std::log(sum) - logit(items[row]), 1e-12);
  }
}

TEST(UniformNegatives, AreDistinctWithoutTheTargetAndCoverAllOthers) {
  const torch::Tensor targets = torch::tensor({0, 5, 9}, torch::kInt64);
  const torch::Tensor drawn = draw_uniform(targets, 10, 4, Rng(1, "test"));
  for (int64_t row = 0; row < 3; ++row) {
    std::set<int64_t> items;
    for (int64_t k = 0; k < 4; ++k) items.insert(drawn[row][k].item<int64_t>());
    EXPECT_EQ(items.size(), 4U);
    EXPECT_FALSE(items.contains(targets[row].item<int64_t>()));
    EXPECT_TRUE(*items.begin() >= 0 && *items.rbegin() < 10);
  }
  const torch::Tensor all = draw_uniform(targets, 10, 9, Rng(1, "test"));
  EXPECT_EQ(std::get<0>(torch::_unique(all[1])).size(0), 9);
  EXPECT_TRUE(torch::equal(drawn, draw_uniform(targets, 10, 4, Rng(1, "test"))));
  EXPECT_FALSE(torch::equal(drawn, draw_uniform(targets, 10, 4, Rng(2, "test"))));
}

TEST(UniformNegatives, AreUniform) {
  constexpr int64_t kRows = 20000, kItems = 8;
  const torch::Tensor drawn =
      draw_uniform(torch::full({kRows}, 3, torch::kInt64), kItems, 2, Rng(3, "test"));
  const torch::Tensor counts = torch::bincount(drawn.flatten(), {}, kItems);
  EXPECT_EQ(counts[3].item<int64_t>(), 0);
  for (int64_t item = 0; item < kItems; ++item) {
    if (item == 3) continue;
    EXPECT_NEAR(counts[item].item<double>(), 2.0 * kRows / 7, 5 * std::sqrt(2.0 * kRows / 7));
  }
}

TEST(Softmax, RefusesWhatCannotBe) {
  EXPECT_THROW(make_softmax({{"negatives", "bach"}}), ConfigError);
  EXPECT_THROW(make_softmax({{"low", 5}, {"high", 5}}), ConfigError);
  EXPECT_THROW(make_softmax({{"unclicked", 1.5}}), ConfigError);
  EXPECT_THROW(draw_uniform(torch::zeros({1}, torch::kInt64), 10, 10, Rng()), ConfigError);
  EXPECT_THROW(golden({.kind = "hard", .low = 4, .high = 5}), ConfigError);
  EXPECT_THROW(make_softmax(Json::object())(LossInputs{}), ConfigError);
}

}  // namespace
}  // namespace retort
