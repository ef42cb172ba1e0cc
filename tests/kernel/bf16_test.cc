#include "retort/kernel/bf16.h"

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include <gmock/gmock.h>

#include "retort/common/rng.h"

namespace retort {
namespace {

using ::testing::ElementsAre;

std::vector<Bf16> narrow(const std::vector<float>& values) {
  std::vector<Bf16> out(values.size());
  to_bf16(values.data(), 1, std::ssize(values), 0, out.data(), std::ssize(values));
  return out;
}

std::vector<float> widened(const std::vector<Bf16>& values) {
  std::vector<float> out(values.size());
  to_float(values.data(), std::ssize(values), out.data());
  return out;
}

/// Small whole numbers: exact in bf16, and so are their sums and products.
std::vector<float> whole_numbers(int64_t size, const char* stream) {
  const Rng rng(4, stream);
  std::vector<float> values(static_cast<size_t>(size));
  for (uint64_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(rng.below(5, i)) - 2;
  return values;
}

TEST(Bf16Numbers, AreTheNearestWithTiesToEven) {
  const std::vector<float> values{
      1.0F, 1.00390625F, 1.01171875F, -2.7182817F, std::numeric_limits<float>::infinity(), 0.0F};
  std::vector<Bf16> out(values.size());
  to_bf16(values.data(), 1, 6, 6, out.data(), 6);
  // 1 + 2^-8 lies half way between 1 and 1 + 2^-7 (even: 1); 1 + 3 * 2^-8 goes up to 1 + 2^-6.
  EXPECT_THAT(widened(out), ::testing::ElementsAre(1.0F, 1.0F, 1.015625F, -2.71875F,
                                                   std::numeric_limits<float>::infinity(), 0.0F));
  const float nan = std::bit_cast<float>(0x7FFFFFFFU);
  to_bf16(&nan, 1, 1, 1, out.data(), 1);
  EXPECT_TRUE(std::isnan(widened(out)[0]));
}

TEST(Bf16Numbers, PaddingIsZeroAndStridesAreKept) {
  const std::vector<float> values{1, 2, 9, 3, 4, 9};
  std::vector<Bf16> out(8, 0xFFFF);
  to_bf16(values.data(), 2, 2, 3, out.data(), 4);
  EXPECT_THAT(widened(out), ::testing::ElementsAre(1, 2, 0, 0, 3, 4, 0, 0));
}

TEST(ReluBackward, KeepsGradientsOfPositiveOutputsOnly) {
  const std::vector<float> values{1, 0, -0.0F, -1, 1e-38F};
  std::vector<Bf16> output(5), gradient(5, 0x3F80);
  to_bf16(values.data(), 1, 5, 5, output.data(), 5);
  relu_backward(output.data(), gradient.data(), 5, gradient.data());
  EXPECT_THAT(gradient, ::testing::ElementsAre(0x3F80, 0, 0, 0, 0x3F80));
}

TEST(AllFinite, FindsInfinityAndNanAtAnyPlace) {
  for (const float bad : {std::numeric_limits<float>::infinity(), -std::nanf("")}) {
    for (size_t at = 0; at < 100; at += 33) {
      std::vector<float> values(100, 3e38F);
      EXPECT_TRUE(all_finite(narrow(values).data(), 100));
      values[at] = bad;
      EXPECT_FALSE(all_finite(narrow(values).data(), 100));
    }
  }
}

TEST(SumRows, AddsAndScales) {
  const std::vector<float> weight{1, 2, 3, 10, 20, 30, 100, 200, 300};
  const std::vector<int64_t> ids{2, 0, 0};
  std::vector<Bf16> out(3, 7);
  sum_rows(weight.data(), 3, ids.data(), 3, 0.5F, out.data());
  EXPECT_THAT(widened(out), ElementsAre(51, 102, 153));
  sum_rows(weight.data(), 3, ids.data() + 1, 1, 2, out.data());
  EXPECT_THAT(widened(out), ElementsAre(2, 4, 6));
  sum_rows(weight.data(), 3, ids.data(), 0, 1, out.data());
  EXPECT_THAT(widened(out), ElementsAre(0, 0, 0));
}

TEST(SumGroups, MatchesLoopsWithEmptyGroupsAtBothEnds) {
  for (const int64_t width : {1, 33, 4096}) {
    const std::vector<int64_t> owner{1, 1, 1, 2, 4, 4};
    const int64_t rows = std::ssize(owner), groups = 6;
    const std::vector<float> values = whole_numbers(rows * width, "rows");
    std::vector<float> expected(static_cast<size_t>(groups * width));
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < width; ++c)
        expected[static_cast<size_t>(owner[static_cast<size_t>(r)] * width + c)] +=
            values[static_cast<size_t>(r * width + c)];
    std::vector<Bf16> sums(expected.size(), 9);
    sum_groups(narrow(values).data(), owner.data(), rows, groups, width, sums.data());
    EXPECT_EQ(widened(sums), expected);
  }
}

TEST(GatedSum, AndItsDerivativesMatchLoops) {
  const int64_t rows = 5, width = 37, count = 3;
  const std::vector<float> gate = whole_numbers(rows * count, "gate"),
                           dout = whole_numbers(rows * width, "dout");
  std::vector<std::vector<Bf16>> parts, dparts(3, std::vector<Bf16>(rows * width));
  std::vector<std::vector<float>> values;
  std::vector<const Bf16*> from;
  std::vector<Bf16*> to;
  for (const char* stream : {"a", "b", "c"}) {
    values.push_back(whole_numbers(rows * width, stream));
    parts.push_back(narrow(values.back()));
  }
  for (size_t k = 0; k < 3; ++k) {
    from.push_back(parts[k].data());
    to.push_back(dparts[k].data());
  }
  std::vector<Bf16> out(rows * width);
  std::vector<float> dgate(rows * count);
  gated_sum(gate.data(), from.data(), rows, count, width, out.data());
  gated_sum_backward(gate.data(), from.data(), narrow(dout).data(), rows, count, width,
                     dgate.data(), to.data());
  const std::vector<float> found = widened(out);
  for (size_t r = 0; r < 5; ++r) {
    for (size_t k = 0; k < 3; ++k) {
      float product = 0;
      for (size_t c = 0; c < 37; ++c) {
        product += dout[r * 37 + c] * values[k][r * 37 + c];
        EXPECT_EQ(widened(dparts[k])[r * 37 + c], gate[r * 3 + k] * dout[r * 37 + c]);
      }
      EXPECT_EQ(dgate[r * 3 + k], product);
    }
    for (size_t c = 0; c < 37; ++c) {
      float sum = 0;
      for (size_t k = 0; k < 3; ++k) sum += gate[r * 3 + k] * values[k][r * 37 + c];
      EXPECT_EQ(found[r * 37 + c], sum);
    }
  }
}

}  // namespace
}  // namespace retort
