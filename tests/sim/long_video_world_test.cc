#include "retort/sim/long_video_world.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include "retort/common/thread_pool.h"
#include "retort/sim/law.h"
#include "retort/sim/long_video_calibrate.h"
#include "retort/sim/long_video_policy.h"

namespace retort {
namespace {

LongVideoOptions small_options() {
  LongVideoOptions options;
  options.users = 300;
  options.tv = 120;
  options.movies = 400;
  options.days = 6;
  options.attribution_days = 2;
  options.seed = 7;
  return options;
}

std::pair<double, double> moments(const std::vector<float>& x) {
  double mean = 0, square = 0;
  for (const float value : x) mean += value / static_cast<double>(x.size());
  for (const float value : x) square += (value - mean) * (value - mean);
  return {mean, std::sqrt(square / static_cast<double>(x.size()))};
}

TEST(LongVideoWorld, LatentsHaveTheMomentsOfTheirLaws) {
  LongVideoOptions options = small_options();
  options.users = options.tv = options.movies = 5000;
  options.days = 1;
  const LongVideoWorld world = build_long_video_world(options);
  const auto expect = [](const std::vector<float>& x, double mean, double deviation) {
    EXPECT_NEAR(moments(x).first, mean, 0.04);
    EXPECT_NEAR(moments(x).second, deviation, 0.04);
  };
  expect(world.quality, 0, 1);
  expect(world.title, 0, 1);
  expect(world.user_bias, 0, 0.5);
  expect(world.open_rate, 4.0 / 7, std::sqrt(12.0 / (49 * 8)));  // Beta(4, 3)
  const std::vector<float> episodes(world.episodes.begin(), world.episodes.begin() + 5000);
  EXPECT_NEAR(moments(episodes).first, 4 + 13, 0.8);  // failures before a success of 1 / 14
  EXPECT_EQ(*std::min_element(episodes.begin(), episodes.end()), 4);
  const std::vector<float> runtime(world.unit.begin() + 5000, world.unit.end());
  EXPECT_NEAR(moments(runtime).first, 105, 1);
  EXPECT_NEAR(moments(runtime).second, 18, 1);
  double together = 0, tastes = 0;
  for (size_t i = 0; i < 10'000; ++i) together += world.title[i] * world.quality[i] / 10'000;
  EXPECT_NEAR(together, -0.3, 0.04);
  const auto d = static_cast<size_t>(world.dim());
  for (size_t u = 0; u < 5000; ++u) {
    const float* click = world.click_taste.data() + u * d;
    const float* other = world.satisfaction_taste.data() + u * d;
    tastes += std::inner_product(click, click + d, other, 0.0) / 5000;
    EXPECT_NEAR(std::inner_product(other, other + d, other, 0.0), 1, 1e-5);
  }
  EXPECT_NEAR(tastes, 0.6, 0.05);
}

TEST(LongVideoWorld, ShowsAreOfTheirTypeAndBornInOrder) {
  const LongVideoWorld world = build_long_video_world(small_options());
  EXPECT_EQ(world.type_of(119), ShowType::kTv);
  EXPECT_EQ(world.type_of(120), ShowType::kMovie);
  EXPECT_EQ(world.item_key(119), "t00119");
  EXPECT_EQ(world.item_key(120), "m00000");
  EXPECT_EQ(world.alive(ShowType::kMovie, 0), 400 - 5);  // one a day
  EXPECT_EQ(world.alive(ShowType::kMovie, 5), 400);
  EXPECT_EQ(world.alive(ShowType::kMovie, 7), 400);
  for (int32_t i = 0; i < world.items(); ++i) {
    const auto at = static_cast<size_t>(i);
    const ShowType type = world.type_of(i);
    EXPECT_EQ(world.episodes[at] == 1, type == ShowType::kMovie);
    for (int32_t day = 0; day < world.log_days(); ++day) {
      EXPECT_EQ(i - world.first_of(type) < world.alive(type, day), world.birth[at] <= day);
    }
    EXPECT_EQ(world.released[at] >= world.start, world.birth[at] > 0);
    EXPECT_GE(std::popcount(world.genres_seen[at]), 1);
    EXPECT_LE(std::popcount(world.genres_seen[at]), 4);
  }
}

TEST(LongVideoWorld, SatisfactionHasTheSpecifiedSpreadOfAffinity) {
  LongVideoOptions options = small_options();
  options.users = 2000;
  options.days = 1;
  const LongVideoWorld world = build_long_video_world(options);
  const auto d = static_cast<size_t>(world.dim());
  double square = 0, mean = 0, satisfaction = 0;
  const int n = 40'000;
  const Rng rng(3, "pairs");
  for (uint64_t k = 0; k < n; ++k) {
    const auto user = rng.below(2000, 2 * k), item = rng.below(520, 2 * k + 1);
    const float* taste = world.satisfaction_taste.data() + user * d;
    const double term = world.satisfaction_scale *
                        (std::inner_product(taste, taste + d, world.phi.data() + item * d, 0.0) -
                         world.satisfaction_centre);
    mean += term / n;
    square += term * term / n;
    satisfaction += world.satisfaction(static_cast<int32_t>(user), static_cast<int32_t>(item)) / n;
  }
  EXPECT_NEAR(std::sqrt(square - mean * mean), 0.8, 0.015);
  EXPECT_NEAR(mean, 0, 0.015);
  EXPECT_NEAR(satisfaction, 0.47, 0.04);
}

TEST(LongVideoWorld, DemographicsAndPreferencesTellOfTaste) {
  LongVideoOptions options = small_options();
  options.users = 4000;
  options.days = 1;
  const LongVideoWorld world = build_long_video_world(options);
  // Users of one gender, or of the outer ages, have tastes that lie together: the mean taste of a
  // random half of 4000 has length 1 / sqrt(2000) = .02.
  const auto length_of_mean = [&](const std::vector<int32_t>& column, int32_t value) {
    std::vector<double> sum(static_cast<size_t>(world.dim()), 0);
    double count = 0, square = 0, all = 0;
    std::vector<double> every(sum);
    for (size_t u = 0; u < column.size(); ++u) {
      for (size_t k = 0; k < sum.size(); ++k) {
        const double x = world.click_taste[u * sum.size() + k];
        every[k] += x;
        if (column[u] == value) sum[k] += x;
      }
      count += column[u] == value ? 1 : 0;
      all += 1;
    }
    for (size_t k = 0; k < sum.size(); ++k) square += std::pow(sum[k] / count - every[k] / all, 2);
    EXPECT_GT(count, 300);
    return std::sqrt(square);
  };
  EXPECT_GT(length_of_mean(world.gender, 0), 0.08);
  EXPECT_GT(length_of_mean(world.age, 0), 0.15);
  for (size_t u = 0; u < 4000; ++u) {
    EXPECT_GE(std::popcount(world.genre_prefs[u]), 1);
    EXPECT_LE(std::popcount(world.genre_prefs[u]), 3);
    EXPECT_NE(world.tag_prefs[3 * u], world.tag_prefs[3 * u + 1]);
  }
}

TEST(LongVideoWorld, DoesNotDependOnThreads) {
  set_threads(1);
  const LongVideoWorld one = build_long_video_world(small_options());
  set_threads(3);
  const LongVideoWorld three = build_long_video_world(small_options());
  set_threads(0);
  EXPECT_EQ(one.click_taste, three.click_taste);
  EXPECT_EQ(one.satisfaction_taste, three.satisfaction_taste);
  EXPECT_EQ(one.open_rate, three.open_rate);
  EXPECT_EQ(one.click_bias, three.click_bias);
  EXPECT_EQ(one.satisfaction_scale, three.satisfaction_scale);
}

TEST(LongVideoPolicy, IsTheMixtureOfItsThreeParts) {
  const LongVideoWorld world = build_long_video_world(small_options());
  const LongVideoPolicy policy(world, ShowType::kMovie, 0);
  ExposureRow row;
  policy.fill(5, row);
  double pi_total = 0, soft_total = 0, total = 0;
  std::vector<double> pi, soft;
  const auto d = static_cast<size_t>(world.dim());
  std::vector<double> taste(d);
  double square = 0;
  for (size_t k = 0; k < d; ++k) {
    taste[k] = world.click_taste[5 * d + k] + world.policy_noise[5 * d + k];
    square += taste[k] * taste[k];
  }
  for (size_t i = 120; i < 120 + 395; ++i) {
    pi.push_back(std::exp(world.log_popularity[i]));
    pi_total += pi.back();
    double affinity = 0;
    for (size_t k = 0; k < d; ++k) affinity += taste[k] * world.phi[i * d + k] / std::sqrt(square);
    soft.push_back(pi.back() * std::exp(4 * affinity + 0.6 * world.title[i]));
    soft_total += soft.back();
  }
  for (size_t k = 0; k < pi.size(); ++k) {
    const double expected = 0.1 / 395 + 0.3 * pi[k] / pi_total + 0.6 * soft[k] / soft_total;
    const double got = policy.exposure(row, static_cast<int32_t>(120 + k));
    EXPECT_NEAR(got / expected, 1, 1e-5);
    total += got;
  }
  EXPECT_NEAR(total, 1, 1e-5);
  EXPECT_EQ(policy.exposure(row, 3), 0);    // a series
  EXPECT_EQ(policy.exposure(row, 519), 0);  // not born yet
}

TEST(LongVideoPolicy, DrawsDistinctEligibleShowsAtTheirFrequency) {
  const LongVideoWorld world = build_long_video_world(small_options());
  const LongVideoPolicy policy(world, ShowType::kTv, 0);
  ExposureRow row;
  policy.fill(1, row);
  std::vector<int32_t> items;
  std::vector<int> first(120, 0);
  const int rows = 20'000;
  for (uint64_t k = 0; k < rows; ++k) {
    policy.draw_row(
        row, Rng(5, "rows").fork(k), 8, [](int32_t item) { return item % 2 == 0; }, items);
    ASSERT_EQ(items.size(), 8U);
    ++first[static_cast<size_t>(items[0])];
    std::sort(items.begin(), items.end());
    ASSERT_EQ(std::adjacent_find(items.begin(), items.end()), items.end());
  }
  double eligible = 0;
  for (int32_t i = 0; i < 120; i += 2) eligible += policy.exposure(row, i);
  for (int32_t i = 0; i < 120; ++i) {
    const double p = i % 2 == 0 ? policy.exposure(row, i) / eligible : 0;
    EXPECT_NEAR(first[static_cast<size_t>(i)], rows * p, 5 * std::sqrt(rows * p) + 1e-9);
  }
}

TEST(LongVideoPolicy, RowIsShortWhereNothingMoreIsEligible) {
  const LongVideoWorld world = build_long_video_world(small_options());
  const LongVideoPolicy policy(world, ShowType::kTv, 0);
  ExposureRow row;
  policy.fill(1, row);
  std::vector<int32_t> items;
  policy.draw_row(
      row, Rng(5, "rows"), 8, [](int32_t item) { return item < 3; }, items);
  EXPECT_EQ(items.size(), 3U);
}

// The checks of methods E4 on the default sizes of the catalogue, 60,000 pairs a type.
TEST(MeasureWatching, MeetsTheSpecification) {
  LongVideoOptions options;
  options.users = 2000;
  options.days = 1;
  const LongVideoWorld world = build_long_video_world(options);
  const Json tv = measure_watching(world, ShowType::kTv, 60'000);
  const Json movies = measure_watching(world, ShowType::kMovie, 60'000);
  const auto value = [](const Json& json, const char* key) { return json[key].get<double>(); };
  SCOPED_TRACE(tv.dump() + movies.dump());
  EXPECT_NEAR(value(tv, "dwm_mean"), 94, 8);
  EXPECT_NEAR(value(tv, "dwm_deviation"), 100, 12);
  EXPECT_NEAR(value(tv, "dwm_p99"), 450, 60);
  EXPECT_NEAR(value(tv, "familiar_share"), 0.57, 0.03);
  EXPECT_NEAR(value(movies, "dwm_mean"), 73, 5);
  EXPECT_NEAR(value(movies, "familiar_share"), 0.31, 0.03);
  EXPECT_NEAR(value(tv, "corr_week_month"), 0.78, 0.04);
  EXPECT_NEAR(value(movies, "corr_week_month"), 0.83, 0.05);
  EXPECT_NEAR(value(tv, "corr_first_week"), 0.57, 0.04);
  EXPECT_NEAR(value(movies, "corr_first_week"), 0.70, 0.05);
  EXPECT_LT(value(tv, "corr_title_week"), -0.05);
  EXPECT_LT(value(movies, "corr_title_week"), -0.05);
}

}  // namespace
}  // namespace retort
