#include "retort/sim/row_kernel.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "retort/common/rng.h"

namespace retort {
namespace {

struct Fixture {
  static constexpr int64_t kItems = 600;  // two whole blocks and a short one
  static constexpr int32_t kDim = 5;
  std::vector<float> base, matrix, taste;
  AffineRow row;
  Fixture() {
    const Rng rng(1, "row");
    uint64_t at = 0;
    for (int64_t j = 0; j < kItems; ++j) base.push_back(static_cast<float>(-3 + rng.normal(at++)));
    for (int64_t j = 0; j < kItems * kDim; ++j)
      matrix.push_back(static_cast<float>(rng.normal(at++)));
    for (int k = 0; k < kDim; ++k) taste.push_back(static_cast<float>(2 * rng.normal(at++)));
    row = {.base = base.data(),
           .matrix = matrix.data(),
           .stride = kItems,
           .taste = taste.data(),
           .dim = kDim,
           .offset = 0.25F};
  }
  double x(int64_t j) const {
    double sum = base[static_cast<size_t>(j)] + 0.25;
    for (int k = 0; k < kDim; ++k) {
      sum += static_cast<double>(taste[static_cast<size_t>(k)]) *
             matrix[static_cast<size_t>(k * kItems + j)];
    }
    return sum;
  }
};

TEST(ExpRow, MatchesTheExponentialOfEachItemAndSumsBlocks) {
  const Fixture f;
  std::vector<float> out(Fixture::kItems);
  std::vector<double> sums(3);
  exp_row(f.row, Fixture::kItems, out.data(), sums.data());
  std::vector<double> expected(3);
  for (int64_t j = 0; j < Fixture::kItems; ++j) {
    const double want = std::exp(f.x(j));
    EXPECT_NEAR(out[static_cast<size_t>(j)] / want, 1, 1e-5) << j;
    expected[static_cast<size_t>(j / kRowBlock)] += want;
  }
  for (size_t b = 0; b < 3; ++b) EXPECT_NEAR(sums[b] / expected[b], 1, 1e-5);
}

TEST(ExpRow, IsExactToTwoInTenMillionOverItsRange) {
  std::vector<float> base;
  for (float x = -80; x < 80; x += 0.37F) base.push_back(x);
  std::vector<float> out(base.size());
  std::vector<double> sums(base.size() / kRowBlock + 1);
  exp_row({.base = base.data()}, static_cast<int64_t>(base.size()), out.data(), sums.data());
  for (size_t j = 0; j < base.size(); ++j) {
    EXPECT_NEAR(out[j] / std::exp(static_cast<double>(base[j])), 1, 2e-7) << base[j];
  }
}

TEST(SigmoidRow, MatchesTheSigmoidOfEachItem) {
  const Fixture f;
  std::vector<float> out(Fixture::kItems);
  sigmoid_row(f.row, Fixture::kItems, out.data());
  for (int64_t j = 0; j < Fixture::kItems; ++j) {
    EXPECT_NEAR(out[static_cast<size_t>(j)], 1 / (1 + std::exp(-f.x(j))), 1e-5) << j;
  }
}

TEST(AddMasses, MatchesThePlainSum) {
  const Rng rng(2, "masses");
  const size_t n = 300;
  std::vector<float> popular(n), weights(n), clicks(n);
  for (size_t j = 0; j < n; ++j) {
    popular[j] = static_cast<float>(rng.uniform(3 * j));
    weights[j] = static_cast<float>(rng.uniform(3 * j + 1));
    clicks[j] = static_cast<float>(rng.uniform(3 * j + 2));
  }
  std::vector<double> mass(n, 1.0);
  const double total =
      add_masses(popular.data(), weights.data(), clicks.data(), n, 0.1, 0.5, 2.0, mass.data());
  double expected = 0;
  for (size_t j = 0; j < n; ++j) {
    const double one = 2.0 * (0.1 + popular[j] + 0.5 * weights[j]) * clicks[j];
    expected += one;
    EXPECT_NEAR(mass[j], 1 + one, 1e-12);
  }
  EXPECT_NEAR(total, expected, 1e-9);
}

}  // namespace
}  // namespace retort
