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
    sum_groups(narrow(values).data(), nullptr, owner.data(), rows, groups, width, sums.data());
    EXPECT_EQ(widened(sums), expected);
    // Where an output is not above 0, its row counts nothing.
    const std::vector<float> output = whole_numbers(rows * width, "output");
    std::fill(expected.begin(), expected.end(), 0.0F);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < width; ++c)
        if (output[static_cast<size_t>(r * width + c)] > 0)
          expected[static_cast<size_t>(owner[static_cast<size_t>(r)] * width + c)] +=
              values[static_cast<size_t>(r * width + c)];
    sum_groups(narrow(values).data(), narrow(output).data(), owner.data(), rows, groups, width,
               sums.data());
    EXPECT_EQ(widened(sums), expected);
  }
}

/// The scalar that gated_sums' derivatives are of: sum of out * pull, in double.
double pulled(const std::vector<double>& logits, const std::vector<std::vector<float>>& parts,
              const std::vector<std::vector<float>>& pull, const GateSizes& s) {
  double sum = 0;
  for (int64_t r = 0; r < s.rows; ++r)
    for (int64_t t = 0; t < s.tasks; ++t) {
      const double* own = &logits[static_cast<size_t>((r * s.tasks + t) * s.experts)];
      double all = 0;
      for (int64_t k = 0; k < s.experts; ++k) all += std::exp(own[k]);
      for (int64_t k = 0; k < s.experts; ++k)
        for (int64_t c = 0; c < s.width; ++c) {
          const auto at = static_cast<size_t>(r * s.width + c);
          sum += std::exp(own[k]) / all * parts[static_cast<size_t>(k)][at] *
                 pull[static_cast<size_t>(t)][at];
        }
    }
  return sum;
}

TEST(GatedSums, AndTheirDerivativesMatchLoopsAndFiniteDifferences) {
  for (const GateSizes& s :
       {GateSizes{5, 2, 3, 37}, GateSizes{1, 1, 1, 16}, GateSizes{3, 3, 2, 1}}) {
    const auto values = static_cast<size_t>(s.rows * s.width);
    const std::vector<float> logits = whole_numbers(s.rows * s.tasks * s.experts, "logits");
    std::vector<std::vector<float>> parts, pull;
    std::vector<std::vector<Bf16>> narrow_parts, narrow_pull, out, dparts;
    for (int64_t k = 0; k < s.experts; ++k) {
      parts.push_back(whole_numbers(s.rows * s.width, k == 0 ? "a" : k == 1 ? "b" : "c"));
      narrow_parts.push_back(narrow(parts.back()));
      dparts.emplace_back(values, Bf16{9});
    }
    for (int64_t t = 0; t < s.tasks; ++t) {
      pull.push_back(whole_numbers(s.rows * s.width, t == 0 ? "d" : t == 1 ? "e" : "f"));
      narrow_pull.push_back(narrow(pull.back()));
      out.emplace_back(values, Bf16{9});
    }
    const auto pointers = [](auto& lists) {
      std::vector<Bf16*> all;
      for (auto& list : lists) all.push_back(list.data());
      return all;
    };
    std::vector<float> gate(logits.size()), dlogits(logits.size(), 9);
    gated_sums(logits.data(), pointers(narrow_parts).data(), s, gate.data(), pointers(out).data());
    gated_sums_backward(gate.data(), pointers(narrow_parts).data(), pointers(narrow_pull).data(), s,
                        dlogits.data(), pointers(dparts).data());
    const std::vector<double> exact(logits.begin(), logits.end());
    for (size_t i = 0; i < logits.size(); ++i) {
      constexpr double kStep = 1e-4;
      std::vector<double> up(exact), down(exact);
      up[i] += kStep;
      down[i] -= kStep;
      const double slope =
          (pulled(up, parts, pull, s) - pulled(down, parts, pull, s)) / (2 * kStep);
      EXPECT_NEAR(dlogits[i], slope, 1e-4 * (1 + std::abs(slope)));
    }
    for (size_t at = 0; at < values; ++at) {
      const size_t row = at / static_cast<size_t>(s.width);
      const auto gate_of = [&](int64_t t, int64_t k) {
        return gate[(row * static_cast<size_t>(s.tasks) + static_cast<size_t>(t)) *
                        static_cast<size_t>(s.experts) +
                    static_cast<size_t>(k)];
      };
      for (int64_t t = 0; t < s.tasks; ++t) {
        double sum = 0;
        for (int64_t k = 0; k < s.experts; ++k)
          sum += gate_of(t, k) * parts[static_cast<size_t>(k)][at];
        EXPECT_NEAR(widened(out[static_cast<size_t>(t)])[at], sum, std::abs(sum) / 256 + 1e-6);
      }
      for (int64_t k = 0; k < s.experts; ++k) {
        double sum = 0;
        for (int64_t t = 0; t < s.tasks; ++t)
          sum += gate_of(t, k) * pull[static_cast<size_t>(t)][at];
        EXPECT_NEAR(widened(dparts[static_cast<size_t>(k)])[at], sum, std::abs(sum) / 256 + 1e-6);
      }
    }
  }
}

TEST(AddTo, RoundsTheSum) {
  std::vector<Bf16> sum = narrow({1, 256, -3});
  add_to(narrow({2, 1, 3}).data(), 3, sum.data());
  EXPECT_THAT(widened(sum), ElementsAre(3, 256, 0));  // 257 lies half way; 256 is even
}

}  // namespace
}  // namespace retort
