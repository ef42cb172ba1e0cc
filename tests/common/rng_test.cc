#include "retort/common/rng.h"

#include <array>
#include <cmath>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

// Known answers of philox4x32-10 from the Random123 distribution (kat_vectors).
TEST(Philox, MatchesThePublishedVectors) {
  using Block = std::array<uint32_t, 4>;
  EXPECT_EQ(philox4x32_10({0, 0, 0, 0}, {0, 0}),
            (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(
      philox4x32_10({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
      (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(
      philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
      (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Rng, RepeatsForEqualSeedStreamAndPosition) {
  const Rng a(7, "negatives"), b(7, "negatives");
  for (uint64_t position = 0; position < 100; ++position) {
    EXPECT_EQ(a.bits(position), b.bits(position));
    EXPECT_EQ(a.fork(3).bits(position), b.fork(3).bits(position));
  }
}

TEST(Rng, DiffersBySeedStreamForkAndPosition) {
  std::set<uint64_t> seen;
  size_t draws = 0;
  for (uint64_t seed = 0; seed < 5; ++seed)
    for (const char* stream : {"negatives", "order", ""})
      for (uint64_t position = 0; position < 50; ++position) {
        const Rng rng(seed, stream);
        seen.insert(rng.bits(position));
        seen.insert(rng.fork(0).bits(position));
        seen.insert(rng.fork(1).bits(position));
        draws += 3;
      }
  EXPECT_EQ(seen.size(), draws);
}

TEST(Rng, UniformAndBelowFillTheirRangeEvenly) {
  const Rng rng(1, "test");
  constexpr int kDraws = 70'000, kCells = 7;
  std::array<int, kCells> below{}, uniform{};
  for (uint64_t position = 0; position < kDraws; ++position) {
    const double u = rng.uniform(position);
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    ++uniform[static_cast<size_t>(u * kCells)];
    ++below[rng.fork(9).below(kCells, position)];
  }
  const double expected = static_cast<double>(kDraws) / kCells;
  for (size_t cell = 0; cell < kCells; ++cell) {  // five standard deviations
    EXPECT_NEAR(below[cell], expected, 5 * std::sqrt(expected));
    EXPECT_NEAR(uniform[cell], expected, 5 * std::sqrt(expected));
  }
}

TEST(Rng, NormalHasTheMomentsOfAStandardNormal) {
  const Rng rng(2, "test");
  constexpr int kDraws = 100'000;
  double sum = 0, squares = 0, fourth = 0;
  for (uint64_t position = 0; position < kDraws; ++position) {
    const double x = rng.normal(position);
    ASSERT_TRUE(std::isfinite(x));
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
  }
  EXPECT_NEAR(sum / kDraws, 0, 0.02);
  EXPECT_NEAR(squares / kDraws, 1, 0.03);
  EXPECT_NEAR(fourth / kDraws, 3, 0.25);
}

TEST(Permutation, IsABijectionForEverySmallSize) {
  for (uint64_t n = 1; n <= 130; ++n) {
    const Permutation permutation(n, Rng(n, "order"));
    std::vector<bool> hit(n, false);
    for (uint64_t i = 0; i < n; ++i) {
      const uint64_t to = permutation(i);
      ASSERT_LT(to, n);
      ASSERT_FALSE(hit[to]) << "n " << n << " index " << i;
      hit[to] = true;
    }
  }
}

TEST(Permutation, IsABijectionBeyondAPowerOfTwo) {
  constexpr uint64_t kSize = (1 << 16) + 1;
  const Permutation permutation(kSize, Rng(5, "order"));
  std::vector<bool> hit(kSize, false);
  uint64_t fixed = 0;
  for (uint64_t i = 0; i < kSize; ++i) {
    const uint64_t to = permutation(i);
    ASSERT_FALSE(hit[to]);
    hit[to] = true;
    fixed += to == i ? 1 : 0;
  }
  EXPECT_LT(fixed, 12U);  // Poisson(1): more than 11 happens once in 10^9
}

TEST(Permutation, ScattersNeighboursAndChangesWithTheKey) {
  constexpr uint64_t kSize = 10'000;
  const Rng rng(3, "order");
  const Permutation first(kSize, rng.fork(0)), second(kSize, rng.fork(1));
  double distance = 0;
  uint64_t same = 0;
  for (uint64_t i = 0; i + 1 < kSize; ++i) {
    distance += std::abs(static_cast<double>(first(i)) - static_cast<double>(first(i + 1)));
    same += first(i) == second(i) ? 1 : 0;
  }
  EXPECT_NEAR(distance / (kSize - 1), kSize / 3.0, kSize / 50.0);  // of two uniform places
  EXPECT_LT(same, 12U);
}

TEST(Permutation, RefusesAnIndexOutOfRange) {
  EXPECT_THROW(Permutation(0, Rng()), ArgumentError);
  EXPECT_THROW(Permutation(5, Rng())(5), ArgumentError);
}

}  // namespace
}  // namespace retort
