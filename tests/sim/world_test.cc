#include "retort/sim/world.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include "retort/common/thread_pool.h"
#include "retort/sim/law.h"

namespace retort {
namespace {

WorldOptions small_options() {
  WorldOptions options;
  options.users = 200;
  options.items = 150;
  options.days = 5;
  options.seed = 7;
  options.constants.read_noise = 1;  // so few items may spread more than the target
  return options;
}

double length_of(const float* x, int32_t dim) {
  return std::sqrt(std::inner_product(x, x + dim, x, 0.0));
}

TEST(World, DirectionsHaveUnitLength) {
  const World world = build_world(small_options());
  for (int32_t i = 0; i < world.items(); ++i) {
    EXPECT_NEAR(length_of(world.phi.data() + i * world.dim(), world.dim()), 1, 1e-5);
  }
  for (int32_t u = 0; u < world.users(); ++u) {
    for (int32_t day = 0; day < world.days(); ++day) {
      EXPECT_NEAR(length_of(world.click_taste_of(u, day), world.dim()), 1, 1e-5);
    }
    EXPECT_NEAR(length_of(world.read_taste_of(u, 0), world.dim()), 1, 1e-5);
  }
}

TEST(World, LatentsHaveTheMomentsOfTheirLaws) {
  WorldOptions options = small_options();
  options.users = options.items = 8000;
  options.authors = 4000;
  options.days = 1;
  const World world = build_world(options);
  const auto moments = [](const std::vector<float>& x) {
    double mean = 0, square = 0;
    for (const float value : x) mean += value / static_cast<double>(x.size());
    for (const float value : x) square += (value - mean) * (value - mean);
    return std::pair(mean, std::sqrt(square / static_cast<double>(x.size())));
  };
  const auto expect = [&](const std::vector<float>& x, double mean, double deviation) {
    EXPECT_NEAR(moments(x).first, mean, 0.05);
    EXPECT_NEAR(moments(x).second, deviation, 0.05);
  };
  expect(world.quality, 0, 1);
  expect(world.title, 0, 1);
  expect(world.length, 0, 0.3);
  expect(world.activity, 1, std::sqrt(0.5));
  expect(world.title_taste, 1, 0.307);  // sqrt(e^{.09} - 1)
  expect(world.user_bias, 0, 0.5);
  expect(world.patience, 0, 0.3);
  double together = 0;
  for (size_t i = 0; i < 8000; ++i) together += world.title[i] * world.quality[i] / 8000;
  EXPECT_NEAR(together, -0.3, 0.05);
}

TEST(World, ReadTasteCorrelatesWithClickTasteByRho) {
  WorldOptions options = small_options();
  options.users = 4000;
  options.days = 1;
  const World world = build_world(options);
  double cosine = 0;
  for (int32_t u = 0; u < world.users(); ++u) {
    const float* a = world.click_taste_of(u, 0);
    cosine += std::inner_product(a, a + world.dim(), world.read_taste_of(u, 0), 0.0) / 4000;
  }
  EXPECT_NEAR(cosine, 0.6, 0.05);
}

TEST(World, SegmentsNameTheMainTopicOfFourFifths) {
  WorldOptions options = small_options();
  options.users = 4000;
  options.days = 1;
  const World noisy = build_world(options);
  options.constants.segment_truth = 1;
  const World exact = build_world(options);
  int equal = 0;
  for (size_t u = 0; u < 4000; ++u) equal += noisy.segment[u] == exact.segment[u];
  EXPECT_NEAR(equal / 4000.0, 0.8 + 0.2 / 32, 0.03);
}

TEST(World, WithoutDriftNoLawDependsOnTheDay) {
  WorldOptions options = small_options();
  options.drift = false;
  const World world = build_world(options);
  for (const int32_t alive : world.alive) EXPECT_EQ(alive, world.items());
  for (int32_t u = 0; u < 20; ++u) {
    for (int32_t day = 1; day < world.days(); ++day) {
      EXPECT_EQ(world.click_logit(u, 3, day), world.click_logit(u, 3, 0));
      EXPECT_EQ(world.read_mean(u, 3, day), world.read_mean(u, 3, 0));
    }
  }
}

TEST(World, DriftMovesTastesByItsStep) {
  const World world = build_world(small_options());
  double cosine = 0;
  for (int32_t u = 0; u < 200; ++u) {
    const float* a = world.click_taste_of(u, 0);
    cosine += std::inner_product(a, a + world.dim(), world.click_taste_of(u, 1), 0.0) / 200;
  }
  // cos = (sqrt(.99) + .1 x) / |..| with E[x] = 0
  EXPECT_NEAR(cosine, 0.995, 0.002);
}

TEST(World, ItemsAreBornInOrder) {
  const World world = build_world(small_options());
  EXPECT_EQ(world.alive.front(), 150 - 4 * 3);  // 2 % of 150 a day
  EXPECT_EQ(world.alive.back(), 150);
  EXPECT_TRUE(std::is_sorted(world.birth.begin(), world.birth.end()));
  for (int32_t i = 0; i < world.items(); ++i) {
    const auto at = static_cast<size_t>(i);
    for (int32_t day = 0; day < world.days(); ++day) {
      EXPECT_EQ(i < world.alive[static_cast<size_t>(day)], world.birth[at] <= day);
    }
    EXPECT_EQ(world.published[at] >= world.start, world.birth[at] > 0);
  }
}

TEST(World, DoesNotDependOnThreads) {
  set_threads(1);
  const World one = build_world(small_options());
  set_threads(3);
  const World three = build_world(small_options());
  set_threads(0);
  EXPECT_EQ(one.click_taste, three.click_taste);
  EXPECT_EQ(one.policy_noise, three.policy_noise);
  EXPECT_EQ(one.activity, three.activity);
  EXPECT_EQ(one.click_bias, three.click_bias);
  EXPECT_EQ(one.read_bias, three.read_bias);
  EXPECT_EQ(one.read_noise, three.read_noise);
}

TEST(World, DrawsArePureFunctionsOfUserItemDayAndSlot) {
  const World world = build_world(small_options());
  EXPECT_EQ(world.click_draw(1, 2, 3, 4), world.click_draw(1, 2, 3, 4));
  EXPECT_NE(world.click_draw(1, 2, 3, 4), world.click_draw(2, 2, 3, 4));
  EXPECT_NE(world.click_draw(1, 2, 3, 4), world.click_draw(1, 3, 3, 4));
  EXPECT_NE(world.click_draw(1, 2, 3, 4), world.click_draw(1, 2, 4, 4));
  EXPECT_NE(world.click_draw(1, 2, 3, 4), world.click_draw(1, 2, 3, 5));
}

TEST(World, NearNullHasOneTasteAndPlainItems) {
  WorldOptions options = world_options(Json{{"world", {{"variant", "near_null"}}}});
  options.users = 100;
  options.items = 100;
  options.days = 3;
  const World world = build_world(options);
  EXPECT_EQ(world.read_taste_of(5, 2), world.click_taste_of(5, 2));
  for (const float q : world.quality) EXPECT_EQ(q, 0);
  for (const float t : world.title) EXPECT_EQ(t, 0);
  for (const float length : world.length) EXPECT_EQ(length, 0);
}

}  // namespace
}  // namespace retort
