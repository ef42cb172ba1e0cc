#include "retort/sim/oracle.h"

#include <cmath>
#include <fstream>

#include "test_world.h"
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/sim/law.h"

namespace retort {
namespace {

using testing::shared_oracle;
using testing::shared_world;
using testing::SimulatedFolder;

/// Weighted correlation over items of `x(item)` and `y(item)`.
template <class W, class X, class Y>
double correlation(int64_t items, const W& weight, const X& x, const Y& y) {
  double n = 0, mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
  for (int32_t i = 0; i < items; ++i) {
    const double w = weight(i);
    n += w;
    mx += w * x(i);
    my += w * y(i);
  }
  for (int32_t i = 0; i < items; ++i) {
    const double w = weight(i), dx = x(i) - mx / n, dy = y(i) - my / n;
    xx += w * dx * dx;
    yy += w * dy * dy;
    xy += w * dx * dy;
  }
  return xy / std::sqrt(xx * yy);
}

TEST(Oracle, MatchesMonteCarloOfTheSimulatorsDraws) {
  const Oracle& oracle = shared_oracle();
  const World& world = oracle.world();
  const int n = 40'000;
  for (const int32_t pair : {1, 2, 3}) {
    const int32_t user = 20 * pair, item = 31 * pair, day = pair;
    double clicks = 0, longer = 0, seconds = 0, square = 0;
    for (int32_t slot = 0; slot < n; ++slot) {
      clicks += world.click_draw(user, item, day, slot) < oracle.p_click(user, item, day);
      const double read = world.seconds(user, item, day, slot);
      longer += read > 50;
      seconds += read;
      square += read * read;
    }
    const double p = oracle.p_click(user, item, day);
    EXPECT_NEAR(clicks / n, p, 4 * std::sqrt(p * (1 - p) / n));
    EXPECT_NEAR(longer / n, oracle.p_long(user, item, day), 0.011);
    const double spread = std::sqrt(square / n - std::pow(seconds / n, 2));
    EXPECT_NEAR(seconds / n, oracle.expected_seconds(user, item, day), 4 * spread / std::sqrt(n));
    EXPECT_DOUBLE_EQ(oracle.value(user, item, day), p * oracle.expected_seconds(user, item, day));
  }
}

TEST(Oracle, ClickMassesAddUpToTheStoredMarginals) {
  const Oracle& oracle = shared_oracle();
  const World& world = oracle.world();
  const int32_t day = 3;
  std::vector<double> of_item(static_cast<size_t>(world.items()));
  double total = 0;
  for (int32_t u = 0; u < world.users(); ++u) {
    double of_user = 0;
    for (int32_t i = 0; i < world.items(); ++i) {
      const double mass = oracle.click_mass(u, i, day);
      of_user += mass;
      of_item[static_cast<size_t>(i)] += mass;
    }
    EXPECT_NEAR(oracle.masses().user[static_cast<size_t>(day * world.users() + u)] / of_user, 1,
                1e-5);
    total += of_user;
  }
  for (int32_t i = 0; i < world.items(); ++i) {
    const auto at = static_cast<size_t>(i);
    EXPECT_NEAR(oracle.masses().item[static_cast<size_t>(day * world.items()) + at] / of_item[at],
                1, 1e-5);
  }
  EXPECT_NEAR(oracle.masses().total[day] / total, 1, 1e-5);
}

TEST(Oracle, PmiIsTheDensityOfTheUsersClicksAgainstAllClicks) {
  const Oracle& oracle = shared_oracle();
  const World& world = oracle.world();
  for (int32_t u = 0; u < 10; ++u) {
    double sum = 0;  // sum_i P(i) e^{PMI} = sum_i P(i | u) = 1
    for (int32_t i = 0; i < world.items(); ++i) {
      const double share = oracle.masses().item[static_cast<size_t>(3 * world.items() + i)] /
                           oracle.masses().total[3];
      sum += share * std::exp(oracle.pmi(u, i, 3));
    }
    EXPECT_NEAR(sum, 1, 1e-5);
  }
}

TEST(Oracle, BestReadScoreIsTheReadRateOfTheProtocolsRows) {
  const Oracle& oracle = shared_oracle();
  // Of user u's rows with item i, w_ui are clicks and n w_u. w_.i / sum are negatives.
  const int32_t u = 4, i = 9, d = 1;
  const World& world = oracle.world();
  const double clicks = oracle.click_mass(u, i, d);
  const double drawn = oracle.masses().user[static_cast<size_t>(d * world.users() + u)] *
                       oracle.masses().item[static_cast<size_t>(d * world.items() + i)] /
                       oracle.masses().total[d];
  EXPECT_NEAR(oracle.best_read_score(u, i, d, 4),
              clicks / (clicks + 4 * drawn) * oracle.p_long(u, i, d), 1e-9);
}

TEST(Oracle, ItemsNotYetBornHaveNoMass) {
  const Oracle& oracle = shared_oracle();
  const auto last = static_cast<int32_t>(oracle.world().items() - 1);
  EXPECT_FALSE(oracle.alive(last, 0));
  EXPECT_EQ(oracle.exposure(0, last, 0), 0);
  EXPECT_EQ(oracle.click_mass(0, last, 0), 0);
  EXPECT_EQ(oracle.pmi(0, last, 0), -std::numeric_limits<double>::infinity());
  EXPECT_GT(oracle.exposure(0, last, 3), 0);
}

TEST(Oracle, FindsTheKeysOfTheLogOnly) {
  const Oracle& oracle = shared_oracle();
  EXPECT_EQ(oracle.find_user("u000123"), 123);
  EXPECT_EQ(oracle.find_item("i00042"), 42);
  EXPECT_EQ(oracle.find_user("u000300"), std::nullopt);
  EXPECT_EQ(oracle.find_user("i00042"), std::nullopt);
  EXPECT_EQ(oracle.find_item("i0004x"), std::nullopt);
  EXPECT_EQ(oracle.find_item("i-0042"), std::nullopt);
  EXPECT_EQ(oracle.find_item(""), std::nullopt);
}

TEST(Oracle, KnowsTheDayOfAMoment) {
  const Oracle& oracle = shared_oracle();
  const int64_t start = oracle.world().start, day = 86'400'000'000;
  EXPECT_EQ(oracle.day_of(start), 0);
  EXPECT_EQ(oracle.day_of(start + day - 1), 0);
  EXPECT_EQ(oracle.day_of(start + day), 1);
  EXPECT_EQ(oracle.day_of(start - day), 0);
  EXPECT_EQ(oracle.day_of(start + 100 * day), 3);
}

TEST(Oracle, MarksATenthOfTheItemsAsClickBait) {
  const Oracle& oracle = shared_oracle();
  const World& world = oracle.world();
  double least_marked = 1e9, most_unmarked = -1e9;
  int marked = 0;
  for (int32_t i = 0; i < world.items(); ++i) {
    const double promise =
        world.title[static_cast<size_t>(i)] - world.quality[static_cast<size_t>(i)];
    marked += oracle.click_bait(i);
    if (oracle.click_bait(i)) least_marked = std::min(least_marked, promise);
    if (!oracle.click_bait(i)) most_unmarked = std::max(most_unmarked, promise);
  }
  EXPECT_EQ(marked, 20);
  EXPECT_GE(least_marked, most_unmarked);
}

TEST(Oracle, AlluringTitlesAreReadLess) {
  WorldOptions options;
  options.users = 200;
  options.items = 600;
  options.days = 1;
  const World world = build_world(options);
  // Item level, weighted by clicks: measured -.47 here, -.45 and -.49 in methods E6.
  std::vector<double> weight(600), longer(600);
  for (int32_t i = 0; i < 600; ++i) {
    const auto at = static_cast<size_t>(i);
    for (int32_t u = 0; u < 200; ++u) {
      const double click = sigmoid(world.click_logit(u, i, 0));
      weight[at] += click;
      longer[at] += click * probability_longer(world.read_mean(u, i, 0), world.read_noise, 50,
                                               options.constants.cap_seconds);
    }
    longer[at] /= weight[at];
  }
  const auto of = [](const auto& column) {
    return [&column](int32_t i) { return static_cast<double>(column[static_cast<size_t>(i)]); };
  };
  EXPECT_LT(correlation(600, of(weight), of(world.title), of(longer)), -0.3);
}

TEST(Oracle, InTheNullWorldReadingDependsOnNobody) {
  Json recipe = testing::small_recipe();
  recipe["world"]["variant"] = "null";
  const SimulatedFolder folder(recipe, "null");
  const Oracle oracle(folder.path);
  for (int32_t k = 0; k < 50; ++k) {
    EXPECT_NEAR(oracle.p_long(k, 3 * k, k % 4), 0.5, 1e-6);
  }
  EXPECT_NEAR(oracle.world().read_noise, 1.35, 1e-9);
  EXPECT_NE(oracle.p_click(1, 2, 0), oracle.p_click(2, 2, 0));
}

TEST(Oracle, InTheReverseWorldReadingHasHardlyAnyNoise) {
  Json recipe = testing::small_recipe();
  recipe["world"]["variant"] = "reverse";
  recipe["world"]["users"] = 60;
  const SimulatedFolder folder(recipe, "reverse");
  EXPECT_EQ(Oracle(folder.path).world().read_noise, 0.1);
  EXPECT_GT(folder.summary["counts"]["impressions"].get<int>(), 60 * 4 * 250 * 0.7);
}

TEST(Oracle, RefusesAnAlteredTruth) {
  const SimulatedFolder folder(testing::small_recipe(), "altered");
  const fs::path file = folder.path / "truth" / "item.quality.f32";
  std::string bytes = read_file(file);
  bytes[17] = static_cast<char>(bytes[17] ^ 4);
  std::ofstream(file, std::ios::binary) << bytes;
  EXPECT_THROW(Oracle{folder.path}, DataError);
  EXPECT_THROW(Oracle{folder.path / "nowhere"}, Error);
}

TEST(Oracle, RefusesNumbersOutOfRange) {
  EXPECT_THROW(shared_oracle().p_click(300, 0, 0), ArgumentError);
  EXPECT_THROW(shared_oracle().p_long(0, -1, 0), ArgumentError);
  EXPECT_THROW(shared_oracle().exposure(0, 0, 4), ArgumentError);
}

}  // namespace
}  // namespace retort
