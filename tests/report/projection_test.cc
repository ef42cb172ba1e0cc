#include "retort/report/projection.h"

#include <cmath>

#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/rng.h"

namespace retort {
namespace {

TEST(Project, FindsThePlaneThatTheVectorsLieIn) {
  // Points a e1 + b e2 + noise, of deviations 5, 2 and 0.1 along known orthogonal directions.
  const double e1[] = {0.6, 0.8, 0, 0}, e2[] = {0, 0, 0.8, -0.6};
  const Rng rng(1, "plane");
  std::vector<float> vectors;
  std::vector<std::array<double, 2>> known;
  for (uint64_t i = 0; i < 400; ++i) {
    known.push_back({5 * rng.normal(6 * i), 2 * rng.normal(6 * i + 1)});
    for (size_t d = 0; d < 4; ++d)
      vectors.push_back(static_cast<float>(3 + known.back()[0] * e1[d] + known.back()[1] * e2[d] +
                                           0.1 * rng.normal(6 * i + 2 + d)));
    vectors.push_back(1000);  // outside the width
  }
  const Projection found = project(vectors, 4, 5);
  double mean[2] = {0, 0};
  for (const auto& point : known)
    for (size_t axis = 0; axis < 2; ++axis) mean[axis] += point[axis] / 400;
  for (size_t i = 0; i < known.size(); ++i) {
    EXPECT_NEAR(found.points[i][0], known[i][0] - mean[0], 0.5);
    EXPECT_NEAR(found.points[i][1], known[i][1] - mean[1], 0.5);
  }
  EXPECT_NEAR(found.explained[0], 25.0 / 29, 0.04);
  EXPECT_NEAR(found.explained[0] + found.explained[1], 1, 0.01);
}

TEST(Project, KeepsDistancesOfWhatHasTwoDimensions) {
  const std::vector<float> vectors{0, 0, 3, 4, 6, -1, -2, 5};
  const Projection found = project(vectors, 2, 2);
  for (size_t i = 0; i < 4; ++i)
    for (size_t j = 0; j < i; ++j) {
      const auto &a = found.points[i], &b = found.points[j];
      EXPECT_NEAR(
          std::hypot(a[0] - b[0], a[1] - b[1]),
          std::hypot(vectors[2 * i] - vectors[2 * j], vectors[2 * i + 1] - vectors[2 * j + 1]),
          1e-4);
    }
}

TEST(Project, TakesWhatHasNoTwoDimensions) {
  for (const auto& point : project(std::vector<float>{2, 2, 2, 2, 2, 2}, 3, 3).points)
    EXPECT_EQ(point, (std::array<float, 2>{0, 0}));
  const Projection line = project(std::vector<float>{1, 2, 4}, 1, 1);
  EXPECT_EQ(line.points[2][1], 0);
  EXPECT_NEAR(std::abs(line.points[2][0]), 4 - 7.0 / 3, 1e-5);
  EXPECT_TRUE(project({}, 3, 3).points.empty());
  EXPECT_THROW(project(std::vector<float>{1, 2, 3}, 2, 2), ArgumentError);
}

}  // namespace
}  // namespace retort
