#include "retort/kernel/catalogue_softmax.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/rng.h"
#include "retort/common/thread_pool.h"
#include "retort/kernel/softmax_rows.h"

namespace retort {
namespace {

std::vector<float> normal(int64_t size, std::string_view stream, double scale = 1) {
  const Rng rng(7, stream);
  std::vector<float> values(static_cast<size_t>(size));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(scale * rng.normal(i));
  return values;
}

/// A problem with every option, each of which a test may clear again.
struct Problem {
  Problem(int64_t b, int64_t n, int64_t d, bool options) : rows(b), items(n), dim(d) {
    const double scale = 1.5 / std::pow(static_cast<double>(d), 0.25);
    x = normal(b * d, "x", scale);
    v = normal(n * d, "v", scale);
    const Rng rng(7, "choices");
    for (int64_t r = 0; r < b; ++r)
      targets.push_back(
          static_cast<int32_t>(rng.below(static_cast<uint64_t>(n), static_cast<uint64_t>(r))));
    if (!options) return;
    temperature = 0.7f;
    weight = normal(b, "weight");
    reward = normal(b, "reward");
    log_q = normal(n, "log_q");
    upstream = normal(b, "upstream");
    excluded.assign(static_cast<size_t>(n + 63) / 64, 0);
    for (int64_t i = 0; i < n; ++i)
      if (rng.below(5, static_cast<uint64_t>(1'000'000 + i)) == 0)
        excluded[static_cast<size_t>(i / 64)] |= uint64_t{1} << (i % 64);
    row_offsets.push_back(0);
    for (int64_t r = 0; r < b; ++r) {
      for (int64_t i = 0; i < n; ++i)
        if (rng.below(9, static_cast<uint64_t>(2'000'000 + r * n + i)) == 0)
          row_items.push_back(static_cast<int32_t>(i));
      row_offsets.push_back(static_cast<int64_t>(row_items.size()));
    }
  }

  CatalogueSoftmaxInput input() const {
    CatalogueSoftmaxInput in;
    in.dim = dim;
    in.users = x;
    in.items = v;
    in.targets = targets;
    in.weight = weight;
    in.reward = reward;
    in.log_q = log_q;
    in.excluded = excluded;
    in.row_offsets = row_offsets;
    in.row_items = row_items;
    in.temperature = temperature;
    return in;
  }

  bool is_negative(int64_t r, int64_t i) const {
    if (!excluded.empty() && (excluded[static_cast<size_t>(i / 64)] >> (i % 64) & 1)) return false;
    if (row_offsets.empty()) return true;
    const auto row = static_cast<size_t>(r);
    return !std::binary_search(row_items.begin() + row_offsets[row],
                               row_items.begin() + row_offsets[row + 1], static_cast<int32_t>(i));
  }

  int64_t rows, items, dim;
  std::vector<float> x, v, weight, reward, log_q, upstream;
  std::vector<int32_t> targets, row_items;
  std::vector<uint64_t> excluded;
  std::vector<int64_t> row_offsets;
  float temperature = 1;
};

struct Answer {
  std::vector<double> loss, dx, dv;
};

/// The definition, in double.
Answer brute_force(const Problem& p) {
  Answer answer{std::vector<double>(p.targets.size()), std::vector<double>(p.x.size()),
                std::vector<double>(p.v.size())};
  for (int64_t r = 0; r < p.rows; ++r) {
    const auto row = static_cast<size_t>(r);
    const int64_t target = p.targets[row];
    std::vector<double> s(static_cast<size_t>(p.items), -INFINITY);
    double most = -INFINITY;
    for (int64_t i = 0; i < p.items; ++i) {
      if (i != target && !p.is_negative(r, i)) continue;
      double dot = 0;
      for (int64_t d = 0; d < p.dim; ++d)
        dot += double{p.x[static_cast<size_t>(r * p.dim + d)]} *
               double{p.v[static_cast<size_t>(i * p.dim + d)]};
      s[static_cast<size_t>(i)] = dot / double{p.temperature} -
                                  (p.log_q.empty() ? 0 : double{p.log_q[static_cast<size_t>(i)]});
      most = std::max(most, s[static_cast<size_t>(i)]);
    }
    double sum = 0;
    for (const double value : s) sum += std::exp(value - most);
    const double factor = (p.weight.empty() ? 1 : double{p.weight[row]}) *
                          (p.reward.empty() ? 1 : double{p.reward[row]});
    answer.loss[row] = -factor * (s[static_cast<size_t>(target)] - most - std::log(sum));
    const double slope =
        factor * (p.upstream.empty() ? 1 : double{p.upstream[row]}) / double{p.temperature};
    for (int64_t i = 0; i < p.items; ++i) {
      const double g =
          slope * (std::exp(s[static_cast<size_t>(i)] - most) / sum - (i == target ? 1 : 0));
      for (int64_t d = 0; d < p.dim; ++d) {
        const auto at = static_cast<size_t>(r * p.dim + d), of = static_cast<size_t>(i * p.dim + d);
        answer.dx[at] += g * double{p.v[of]};
        answer.dv[of] += g * double{p.x[at]};
      }
    }
  }
  return answer;
}

struct Result {
  std::vector<float> loss, dx, dv;
  bool operator==(const Result&) const = default;
};

Result run(CatalogueSoftmax& softmax, const CatalogueSoftmaxInput& in,
           std::span<const float> upstream) {
  const size_t items = in.items.size() + in.items_bf16.size();
  // What was there before must not matter.
  Result result{std::vector<float>(in.targets.size(), 9), std::vector<float>(in.users.size(), 9),
                std::vector<float>(items, 9)};
  CatalogueSoftmaxState state;
  softmax.forward(in, result.loss, state);
  softmax.backward(in, state, upstream, result.dx, result.dv);
  return result;
}

Result run(Precision precision, const Problem& p) {
  CatalogueSoftmax softmax(precision);
  return run(softmax, p.input(), p.upstream);
}

/// Norm of the difference over the norm of what is expected.
template <class T>
double relative_error(const std::vector<float>& got, const std::vector<T>& expected) {
  double difference = 0, norm = 0;
  EXPECT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    const double e = static_cast<double>(expected[i]);
    difference += (double{got[i]} - e) * (double{got[i]} - e);
    norm += e * e;
  }
  return std::sqrt(difference / std::max(norm, 1e-20));
}

class CatalogueShapes : public testing::TestWithParam<std::tuple<int, int, int>> {
 protected:
  Problem problem(bool options) const {
    const auto [b, n, d] = GetParam();
    return {b, n, d, options};
  }
};

TEST_P(CatalogueShapes, MatchBruteForceInFp32) {
  for (const bool options : {false, true}) {
    const Problem p = problem(options);
    const Answer expected = brute_force(p);
    const Result got = run(Precision::kFp32, p);
    EXPECT_LT(relative_error(got.loss, expected.loss), 2e-6);
    EXPECT_LT(relative_error(got.dx, expected.dx), 5e-6);
    EXPECT_LT(relative_error(got.dv, expected.dv), 5e-6);
  }
}

TEST_P(CatalogueShapes, Bf16IsWithinOnePercent) {
  const Problem p = problem(true);
  const Answer expected = brute_force(p);
  const Result got = run(Precision::kBf16, p);
  // Rounding to 8 bits: 0.4 % a factor, less where many of them average.
  EXPECT_LT(relative_error(got.loss, expected.loss), 0.01);
  EXPECT_LT(relative_error(got.dx, expected.dx), 0.015);
  EXPECT_LT(relative_error(got.dv, expected.dv), 0.015);
}

INSTANTIATE_TEST_SUITE_P(Odd, CatalogueShapes,
                         testing::Values(std::tuple(1, 1, 1), std::tuple(1, 7, 3),
                                         std::tuple(5, 1, 3), std::tuple(1, 1300, 130),
                                         std::tuple(129, 40, 3), std::tuple(3, 513, 130),
                                         std::tuple(130, 1029, 1), std::tuple(200, 600, 64)));

TEST(CatalogueSoftmax, EveryOptionAloneMatchesBruteForce) {
  for (int option = 0; option < 7; ++option) {
    const Problem all(20, 90, 5, true);
    Problem p(20, 90, 5, false);
    if (option == 0) p.temperature = all.temperature;
    if (option == 1) p.weight = all.weight;
    if (option == 2) p.reward = all.reward;
    if (option == 3) p.log_q = all.log_q;
    if (option == 4) p.excluded = all.excluded;
    if (option == 5) p.row_offsets = all.row_offsets, p.row_items = all.row_items;
    if (option == 6) p.upstream = all.upstream;
    const Answer expected = brute_force(p);
    const Result got = run(Precision::kFp32, p);
    EXPECT_LT(relative_error(got.loss, expected.loss), 2e-6) << option;
    EXPECT_LT(relative_error(got.dx, expected.dx), 5e-6) << option;
    EXPECT_LT(relative_error(got.dv, expected.dv), 5e-6) << option;
  }
}

TEST(CatalogueSoftmax, AllNegativesExcludedGivesNoLossAndNoGradient) {
  Problem p(3, 70, 4, false);
  p.excluded.assign(2, ~uint64_t{0});
  const Result got = run(Precision::kFp32, p);
  EXPECT_EQ(got.loss, std::vector<float>(3));
  for (const float value : got.dx) EXPECT_EQ(value, 0.0f);
  for (const float value : got.dv) EXPECT_EQ(value, 0.0f);
}

TEST(CatalogueSoftmax, ExcludedItemsGetNoGradientWhateverTheirLogit) {
  Problem p(1, 40, 1, false);
  p.x = {100};
  p.targets = {3};
  p.v[17] = 100;  // logit 10,000, far above the others
  p.excluded = {uint64_t{1} << 17};
  const Result got = run(Precision::kFp32, p);
  EXPECT_EQ(got.dv[17], 0.0f);
  EXPECT_LT(relative_error(got.loss, brute_force(p).loss), 1e-5);
}

TEST(CatalogueSoftmax, StaysFiniteAtLogitsOfTenThousand) {
  for (const Precision precision : {Precision::kFp32, Precision::kAuto}) {
    Problem p(4, 700, 1, false);
    p.x = {100, 100, -100, 100};
    p.v = std::vector<float>(700, -100);
    p.v[0] = p.v[600] = p.v[601] = 100;
    p.targets = {0, 5, 5, 600};  // logits: among three equal highest, lowest, ..
    const Answer expected = brute_force(p);
    const Result got = run(precision, p);
    for (size_t r = 0; r < 4; ++r)
      EXPECT_NEAR(got.loss[r], expected.loss[r], 1e-3 + 1e-6 * expected.loss[r]);
    EXPECT_LT(relative_error(got.dx, expected.dx), 0.01);
    EXPECT_LT(relative_error(got.dv, expected.dv), 0.01);
  }
}

TEST(CatalogueSoftmax, LossOfANearlyCertainTargetIsExact) {
  Problem p(1, 2, 1, false);
  p.x = {1};
  p.v = {10, -10};
  p.targets = {0};
  const Result got = run(Precision::kFp32, p);
  EXPECT_NEAR(got.loss[0] / std::exp(-20.0), 1, 1e-4);
  EXPECT_NEAR(got.dv[0] / -std::exp(-20.0), 1, 1e-4);
}

TEST(CatalogueSoftmax, NanInAnItemReachesTheLoss) {
  Problem p(2, 50, 4, false);
  p.targets = {1, 2};
  p.v[9 * 4] = std::numeric_limits<float>::quiet_NaN();
  const Result got = run(Precision::kAuto, p);
  EXPECT_TRUE(std::isnan(got.loss[0]) && std::isnan(got.loss[1]));
}

TEST(CatalogueSoftmax, GradientMatchesFiniteDifferences) {
  const Problem p(6, 33, 4, true);
  CatalogueSoftmax softmax(Precision::kFp32);
  const Result at = run(softmax, p.input(), p.upstream);
  const auto total = [&](const Problem& moved) {
    const Result result = run(softmax, moved.input(), moved.upstream);
    double sum = 0;
    for (size_t r = 0; r < result.loss.size(); ++r)
      sum += double{result.loss[r]} * double{p.upstream[r]};
    return sum;
  };
  constexpr float kStep = 0.02f;
  for (const bool users : {true, false}) {
    const std::vector<float>& gradient = users ? at.dx : at.dv;
    for (size_t i = 0; i < gradient.size(); i += 5) {
      Problem up = p, down = p;
      (users ? up.x : up.v)[i] += kStep;
      (users ? down.x : down.v)[i] -= kStep;
      EXPECT_NEAR((total(up) - total(down)) / (2 * double{kStep}), gradient[i], 3e-3);
    }
  }
}

TEST(CatalogueSoftmax, ThreadsDoNotChangeOneBit) {
  const Problem p(140, 2600, 24, true);
  for (const Precision precision : {Precision::kFp32, Precision::kAuto}) {
    set_threads(1);
    const Result one = run(precision, p);
    set_threads(3);
    EXPECT_EQ(run(precision, p), one);
    set_threads(0);
  }
}

TEST(CatalogueSoftmax, ItemsInBf16AreThoseRounded) {
  Problem p(20, 600, 12, true);
  std::vector<Bf16> rounded(p.v.size());
  softmax_row_kernels().round(p.v.data(), static_cast<int64_t>(p.v.size()), rounded.data());
  for (size_t i = 0; i < p.v.size(); ++i) {
    const uint32_t bits = uint32_t{rounded[i]} << 16;
    std::memcpy(&p.v[i], &bits, sizeof(bits));
  }
  CatalogueSoftmaxInput in = p.input();
  in.items = {};
  in.items_bf16 = rounded;
  for (const Precision precision : {Precision::kFp32, Precision::kAuto}) {
    CatalogueSoftmax softmax(precision);
    EXPECT_EQ(run(softmax, in, p.upstream), run(precision, p));
  }
}

/// So many rows that the users' gradient is made in two passes: each row as if alone.
TEST(CatalogueSoftmax, SeveralPassesOverTheRowsGiveTheSame) {
  const Problem p(300, 15'900, 1024, false);
  CatalogueSoftmax softmax;
  const Result whole = run(softmax, p.input(), {});
  std::vector<double> dv(p.v.size());
  for (const auto& [begin, end] : {std::pair{0, 150}, {150, 300}}) {
    Problem part = p;
    part.rows = end - begin;
    part.x.assign(p.x.begin() + begin * p.dim, p.x.begin() + end * p.dim);
    part.targets.assign(p.targets.begin() + begin, p.targets.begin() + end);
    const Result got = run(softmax, part.input(), {});
    EXPECT_LT(
        relative_error(got.loss, std::vector(whole.loss.begin() + begin, whole.loss.begin() + end)),
        1e-6);
    EXPECT_LT(relative_error(got.dx, std::vector(whole.dx.begin() + begin * p.dim,
                                                 whole.dx.begin() + end * p.dim)),
              1e-5);
    for (size_t i = 0; i < dv.size(); ++i) dv[i] += double{got.dv[i]};
  }
  EXPECT_LT(relative_error(whole.dv, dv), 1e-5);
}

TEST(CatalogueSoftmax, KeepsItsBuffersSmallAndConstant) {
  const Problem p(2048, 50'000, 128, false);
  CatalogueSoftmax softmax;
  const Result first = run(softmax, p.input(), {});
  const size_t bytes = softmax.buffer_bytes();
  EXPECT_LT(bytes, size_t{40} << 20);
  EXPECT_EQ(run(softmax, p.input(), {}), first);
  EXPECT_EQ(softmax.buffer_bytes(), bytes);
}

TEST(CatalogueSoftmax, NoRowsGiveAnEmptyGradient) {
  const Problem p(0, 5, 2, false);
  EXPECT_EQ(run(Precision::kAuto, p).dv, std::vector<float>(10));
}

TEST(CatalogueSoftmax, RefusesWhatDoesNotFit) {
  const Problem good(4, 9, 2, true);
  const auto refuses = [&](const auto& change) {
    Problem p = good;
    change(p);
    EXPECT_THROW(run(Precision::kFp32, p), ArgumentError);
  };
  refuses([](Problem& p) { p.targets[1] = 9; });
  refuses([](Problem& p) { p.targets[1] = -1; });
  refuses([](Problem& p) { p.x.pop_back(); });
  refuses([](Problem& p) { p.v.pop_back(); });
  refuses([](Problem& p) { p.weight.pop_back(); });
  refuses([](Problem& p) { p.log_q.pop_back(); });
  refuses([](Problem& p) { p.excluded.push_back(0); });
  refuses([](Problem& p) { p.row_offsets.pop_back(); });
  refuses([](Problem& p) { p.row_offsets[4] += 1; });
  refuses([](Problem& p) {
    p.row_items = {3, 2};
    p.row_offsets = {0, 2, 2, 2, 2};
  });
  refuses([](Problem& p) { p.temperature = 0; });
  refuses([](Problem& p) { p.upstream.pop_back(); });
}

TEST(SoftmaxRows, EveryInstructionSetMatchesDoubles) {
  constexpr int64_t kSize = 48;
  const std::vector<float> x = normal(kSize, "x", 20), bias = normal(kSize, "bias");
  constexpr float kScale = 1.3f, kCoefficient = -0.7f;
  for (const SoftmaxRowKernels* kernels : all_softmax_row_kernels()) {
    double most = -INFINITY, total = 0;
    std::vector<double> z;
    for (size_t i = 0; i < x.size(); ++i) {
      z.push_back(double{x[i]} * double{kScale} + double{bias[i]});
      most = std::max(most, z.back());
    }
    for (const double value : z) total += std::exp2(value - most);
    std::vector<float> row = x, out(x.size());
    std::vector<Bf16> rounded(x.size()), again(x.size());
    float max = 0, sum = 0;
    kernels->max_sum(row.data(), bias.data(), kScale, kSize, max, sum);
    EXPECT_NEAR(max, most, 1e-5) << kernels->isa;
    EXPECT_NEAR(sum, total, 1e-5 * total) << kernels->isa;
    kernels->gradient(x.data(), bias.data(), kScale, max, kCoefficient, kSize, out.data());
    kernels->gradient_bf16(x.data(), bias.data(), kScale, max, kCoefficient, kSize, rounded.data());
    kernels->round(out.data(), kSize - 3, again.data());
    for (size_t i = 0; i < out.size(); ++i) {
      const double expected = double{kCoefficient} * std::exp2(z[i] - most);
      // Below 2^-126 it is 0; a logit of 60 is known to 4e-6.
      EXPECT_NEAR(out[i], expected, 2e-5 * std::abs(expected) + 1e-37) << kernels->isa;
      const uint32_t bits = uint32_t{rounded[i]} << 16;
      float widened = 0;
      std::memcpy(&widened, &bits, sizeof(bits));
      EXPECT_NEAR(widened, out[i], std::abs(out[i]) / 256) << kernels->isa;
      EXPECT_EQ(again[i], i + 3 < out.size() ? rounded[i] : 0) << kernels->isa;
    }
  }
}

}  // namespace
}  // namespace retort
