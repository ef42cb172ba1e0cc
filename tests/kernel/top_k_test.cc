// Oracle: a full stable sort.
#include "retort/kernel/top_k.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/rng.h"

namespace retort {
namespace {

TEST(TopK, MatchesAFullSortWithManyTiesInAnyOrderOfPushes) {
  const Rng rng(3, "scores");
  for (const int32_t k : {0, 1, 2, 10, 99, 100, 200}) {
    std::vector<ScoredItem> all;
    for (int32_t item = 0; item < 100; ++item)
      all.push_back({item, static_cast<float>(rng.below(7, static_cast<uint64_t>(item)))});
    TopK forward(k), backward(k), left(k), right(k);
    for (size_t i = 0; i < all.size(); ++i) {
      forward.push(all[i].item, all[i].score);
      const ScoredItem& last = all[all.size() - 1 - i];
      backward.push(last.item, last.score);
      (i % 3 == 0 ? left : right).push(all[i].item, all[i].score);
    }
    left.merge(right);
    std::stable_sort(all.begin(), all.end(),
                     [](const ScoredItem& a, const ScoredItem& b) { return a.score > b.score; });
    all.resize(std::min<size_t>(all.size(), static_cast<size_t>(k)));
    for (TopK* best : {&forward, &backward, &left}) {
      const auto got = best->take();
      ASSERT_EQ(got.size(), all.size());
      for (size_t i = 0; i < got.size(); ++i) {
        EXPECT_EQ(got[i].item, all[i].item);
        EXPECT_EQ(got[i].score, all[i].score);
      }
    }
  }
}

TEST(TopK, NaNIsWorstAndNegativeKIsRefused) {
  const std::vector<float> scores{NAN, 1, -INFINITY, NAN, 2};
  const auto best = top_k(scores, 4, 10);
  ASSERT_EQ(best.size(), 4u);
  EXPECT_EQ(best[0].item, 14);
  EXPECT_EQ(best[1].item, 11);
  EXPECT_EQ(best[2].item, 10);
  EXPECT_EQ(best[3].item, 12);
  EXPECT_THROW(TopK(-1), ArgumentError);
}

}  // namespace
}  // namespace retort
