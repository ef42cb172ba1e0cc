// Oracle: worked by hand, with Student's quantiles from published tables.
#include "retort/metric/seed_interval.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

TEST(SeedInterval, IsStudentsOverTheValues) {
  const std::vector<double> values{2, 4, 6, 8, 10};
  EXPECT_EQ(mean_of(values), 6);
  EXPECT_DOUBLE_EQ(deviation_of(values), std::sqrt(10.0));
  const Interval got = t_interval(values);  // 2.7764 sqrt(10 / 5)
  EXPECT_EQ(got.value, 6);
  EXPECT_NEAR(got.low, 6 - 2.7764 * std::sqrt(2.0), 1e-4);
  EXPECT_NEAR(got.high, 6 + 2.7764 * std::sqrt(2.0), 1e-4);
  EXPECT_TRUE(std::isnan(deviation_of(std::vector<double>{1})));
  EXPECT_THROW(t_interval(std::vector<double>{1}), ArgumentError);
}

TEST(SeedInterval, OfManyValuesHasTheQuantileOfTheTables) {
  std::vector<double> values(61, 1.0);  // 60 degrees of freedom: 2.0003
  values[0] = 62;
  const double half = 2.0003 * deviation_of(values) / std::sqrt(61.0);
  EXPECT_NEAR(t_interval(values).high, 2 + half, 1e-3);
}

TEST(SeedInterval, OfEqualValuesIsAPoint) {
  const Interval got = t_interval(std::vector<double>{0, 0, 0});
  EXPECT_EQ(got.low, 0);
  EXPECT_EQ(got.high, 0);
}

}  // namespace
}  // namespace retort
