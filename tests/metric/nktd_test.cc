// Oracles: methods' worked example, and all pairs counted one by one.
#include "retort/metric/nktd.h"

#include <cmath>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/rng.h"

namespace retort {
namespace {

using testing::ElementsAre;
using Scores = std::vector<float>;

double naive(const Scores& r, const Scores& k) {
  double sum = 0, pairs = 0;
  for (size_t i = 0; i < r.size(); ++i)
    for (size_t j = 0; j < i; ++j) {
      const double product = double{r[i] - r[j]} * double{k[i] - k[j]};
      sum += product < 0 ? 1 : product > 0 ? 0 : 0.5;
      ++pairs;
    }
  return sum / pairs;
}

/// Whole numbers below `range`: a small range makes many ties.
Scores random(size_t size, uint64_t seed, int32_t range) {
  const Rng rng(seed, "nktd");
  Scores scores(size);
  for (size_t i = 0; i < size; ++i)
    scores[i] = static_cast<float>(std::floor(rng.uniform(i) * range));
  return scores;
}

TEST(Nktd, MatchesTheWorkedExample) {
  EXPECT_DOUBLE_EQ(nktd(Scores{5, 4, 3, 2}, Scores{1, 3, 2, 4}), 5.0 / 6);
}

TEST(Nktd, IsZeroForTheSameOrderAndOneForTheReverse) {
  EXPECT_EQ(nktd(Scores{3, 1, 2}, Scores{30, -5, 0}), 0);
  EXPECT_EQ(nktd(Scores{3, 1, 2}, Scores{-3, -1, -2}), 1);
}

TEST(Nktd, ATieOfEitherCountsOneHalfOnce) {
  EXPECT_DOUBLE_EQ(nktd(Scores{1, 1, 2}, Scores{5, 6, 7}), 0.5 / 3);
  EXPECT_DOUBLE_EQ(nktd(Scores{5, 6, 7}, Scores{1, 1, 2}), 0.5 / 3);
  EXPECT_DOUBLE_EQ(nktd(Scores{1, 1, 2}, Scores{4, 4, 3}), 2.5 / 3);
  EXPECT_EQ(nktd(Scores{1, 1, 1, 1}, Scores{4, 3, 2, 1}), 0.5);
}

TEST(Nktd, EqualsAllPairsCountedOneByOne) {
  for (const int32_t range : {2, 5, 40, 1000000})
    for (const size_t size : {2u, 3u, 17u, 64u, 300u})
      for (uint64_t seed = 0; seed < 5; ++seed) {
        const Scores r = random(size, 2 * seed, range), k = random(size, 2 * seed + 1, range);
        EXPECT_NEAR(nktd(r, k), naive(r, k), 1e-12) << size << ' ' << range;
      }
}

TEST(Nktd, IsNearOneHalfForUnrelatedScores) {
  EXPECT_NEAR(nktd(random(20000, 1, 1 << 30), random(20000, 2, 1 << 30)), 0.5, 0.02);
}

TEST(Nktd, FewerThanTwoItemsHaveNoOrder) {
  EXPECT_TRUE(std::isnan(nktd({}, {})));
  EXPECT_TRUE(std::isnan(nktd(Scores{1}, Scores{2})));
}

TEST(Nktd, RefusesNanAndUnequalLengths) {
  EXPECT_THROW(nktd(Scores{1, NAN}, Scores{1, 2}), ArgumentError);
  EXPECT_THROW(nktd(Scores{1, 2}, Scores{1}), ArgumentError);
}

TEST(NktdSupports, CompareTheBestOfWhomTheyName) {
  const Scores retrieval{9, 8, 7, 1, 2, 3}, ranker{1, 2, 9, 8, 0, 3};
  EXPECT_THAT(best_of(retrieval, 3), ElementsAre(0, 1, 2));
  EXPECT_THAT(best_of(ranker, 3), ElementsAre(2, 3, 5));
  EXPECT_DOUBLE_EQ(nktd_at(retrieval, ranker, 3, NktdSupport::kOwn), naive({9, 8, 7}, {1, 2, 9}));
  EXPECT_DOUBLE_EQ(nktd_at(retrieval, ranker, 3, NktdSupport::kRanker),
                   naive({7, 1, 3}, {9, 8, 3}));
  EXPECT_DOUBLE_EQ(nktd_at(retrieval, ranker, 3, NktdSupport::kBoth),
                   naive({9, 8, 7, 1, 3}, {1, 2, 9, 8, 3}));
  for (const auto support : {NktdSupport::kOwn, NktdSupport::kRanker, NktdSupport::kBoth})
    EXPECT_DOUBLE_EQ(nktd_at(retrieval, ranker, 100, support), naive(retrieval, ranker));
  EXPECT_THROW(nktd_at(retrieval, ranker, 0, NktdSupport::kOwn), ArgumentError);
  const std::vector<int32_t> some{5, 0, 4}, outside{0, 6};
  EXPECT_DOUBLE_EQ(nktd_on(retrieval, ranker, some), naive({3, 9, 2}, {3, 1, 0}));
  EXPECT_THROW(nktd_on(retrieval, ranker, outside), ArgumentError);
}

TEST(NktdSupports, AreNamed) {
  EXPECT_EQ(parse_nktd_support("own"), NktdSupport::kOwn);
  EXPECT_EQ(parse_nktd_support("ranker"), NktdSupport::kRanker);
  EXPECT_EQ(parse_nktd_support("both"), NktdSupport::kBoth);
  EXPECT_THROW(parse_nktd_support("common"), ConfigError);
}

}  // namespace
}  // namespace retort
