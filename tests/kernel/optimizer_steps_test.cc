#include "retort/kernel/optimizer_steps.h"

#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

namespace retort {
namespace {

TEST(AdamRun, FollowsTheFormula) {
  const AdamFactors f{.beta1 = 0.9F,
                      .rest1 = 0.1F,
                      .beta2 = 0.99F,
                      .rest2 = 0.01F,
                      .epsilon = 0.5F,
                      .rate = 0.2F,
                      .root = 2,
                      .keep = 0.75F,
                      .scale = 10};
  std::vector<float> value(19, 4), gradient(19, 0.3F), m(19, 1), v(19, 2);
  adam_run(value.data(), gradient.data(), m.data(), v.data(), 19, f);
  const double m1 = 0.9 + 0.1 * 3, v1 = 0.99 * 2 + 0.01 * 9;
  for (size_t i = 0; i < 19; ++i) {
    EXPECT_NEAR(m[i], m1, 1e-6);
    EXPECT_NEAR(v[i], v1, 1e-6);
    EXPECT_NEAR(value[i], 0.75 * 4 - 0.2 * m1 / (std::sqrt(v1) * 2 + 0.5), 1e-6);
  }
}

TEST(AdagradRow, SharesOneSumOfMeanSquares) {
  std::vector<float> value{1, 2};
  const std::vector<float> gradient{3, 4};
  float sum = 12.5F;
  adagrad_row(value.data(), gradient.data(), 2, 0.1F, 0.5F, 1, sum);
  EXPECT_FLOAT_EQ(sum, 25);  // 12.5 + (9 + 16) / 2
  EXPECT_NEAR(value[0], 0.5 - 0.1 * 3 / 6, 1e-6);
  EXPECT_NEAR(value[1], 1.0 - 0.1 * 4 / 6, 1e-6);
}

TEST(RoundStochastic, IsRightOnAverageAndNeverFurtherThanAStep) {
  // 1 + 2^-10 lies an eighth of the way from 1 to the next bf16, 1 + 2^-7.
  const std::vector<float> values(80'000, 1.0F + 1.0F / 1024);
  std::vector<Bf16> out(values.size());
  round_stochastic(values.data(), std::ssize(values), 7, out.data());
  int64_t up = 0;
  for (const Bf16 value : out) {
    ASSERT_TRUE(value == 0x3F80 || value == 0x3F81);
    up += value == 0x3F81 ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(up) / 80'000, 0.125, 5 * std::sqrt(0.125 * 0.875 / 80'000));
  std::vector<Bf16> again(values.size()), other(values.size());
  round_stochastic(values.data(), std::ssize(values), 7, again.data());
  round_stochastic(values.data(), std::ssize(values), 8, other.data());
  EXPECT_EQ(out, again);
  EXPECT_NE(out, other);
}

TEST(RoundStochastic, KeepsExactAndInfiniteValues) {
  const std::vector<float> values{-2.5F, 0, std::numeric_limits<float>::infinity(), 3.0F};
  std::vector<Bf16> out(4);
  round_stochastic(values.data(), 4, 3, out.data());
  std::vector<float> wide(4);
  to_float(out.data(), 4, wide.data());
  EXPECT_EQ(wide, values);
}

}  // namespace
}  // namespace retort
