#include "retort/metric/user_lists.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "tests/support/scratch_folder.h"
#include "tests/support/tiny_dataset.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/rng.h"
#include "retort/metric/rank_metric.h"
#include "retort/metric/ranking.h"

namespace retort {
namespace {

using testing::ElementsAre;

TEST(UserLists, EqualTheHandTable) {
  // Four relevant items, one of them no candidate.
  const UserList list{0, 4, list_positions(std::vector<int32_t>{6, 0, 1, 3}, Ties::kMid)};
  EXPECT_THAT(list.positions, ElementsAre(1, 3, 6));
  EXPECT_DOUBLE_EQ(recall_of_list(list, 1), 0.25);
  EXPECT_DOUBLE_EQ(recall_of_list(list, 5), 0.5);
  EXPECT_DOUBLE_EQ(recall_of_list(list, 100), 0.75);
  // log2 of 2, 3, 4, 5: 1, 1.5849625, 2, 2.3219281.
  EXPECT_NEAR(ndcg_of_list(list, 1), 1, 1e-12);
  EXPECT_NEAR(ndcg_of_list(list, 3), 1.5 / 2.1309298, 1e-7);
  EXPECT_NEAR(ndcg_of_list(list, 100), (1.5 + 1 / std::log2(7.0)) / 2.5616063, 1e-7);
  EXPECT_DOUBLE_EQ(mrr_of_list(list, 1), 1);
  EXPECT_DOUBLE_EQ(mrr_of_list({0, 2, {}}, 1), 0);
  EXPECT_THROW(recall_of_list(list, 0), ArgumentError);
}

/// Scores of thirty items of one user, few different ones where `ties` are wanted.
struct Scored {
  std::vector<int32_t> score;
  std::vector<int32_t> relevant;
};
Scored scored(uint64_t seed, uint64_t values) {
  constexpr size_t kItems = 30;
  const Rng rng(seed, "test");
  Scored made;
  std::vector<int32_t> order(kItems);
  std::iota(order.begin(), order.end(), 0);
  for (size_t item = 0; item < kItems; ++item) {
    std::swap(order[item], order[item + rng.fork(1).below(kItems - item, item)]);
    made.score.push_back(values == 0 ? 0 : static_cast<int32_t>(rng.below(values, item)));
    if (rng.fork(2).uniform(item) < 0.4 || item == 0)
      made.relevant.push_back(static_cast<int32_t>(item));
  }
  if (values == 0) made.score = order;
  return made;
}
/// Above and equal others of each relevant item.
struct Place {
  int32_t above = 0, equal = 0;
};
Place place_of(const Scored& user, int32_t item) {
  Place place;
  for (size_t other = 0; other < user.score.size(); ++other) {
    place.above += user.score[other] > user.score[item];
    place.equal += static_cast<int32_t>(other) != item && user.score[other] == user.score[item];
  }
  return place;
}

TEST(UserLists, EqualTheMetricsOfTheWrittenOutListWithoutTies) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Scored user = scored(seed, 0);
    RankedList list{{}, user.relevant};
    list.ranked.resize(user.score.size());
    std::iota(list.ranked.begin(), list.ranked.end(), 0);
    std::sort(list.ranked.begin(), list.ranked.end(),
              [&](int32_t a, int32_t b) { return user.score[a] > user.score[b]; });
    std::vector<int32_t> ranks;
    for (const int32_t item : user.relevant) ranks.push_back(1 + place_of(user, item).above);
    for (const Ties ties : {Ties::kMid, Ties::kBest, Ties::kWorst}) {
      const UserList lists{0, std::ssize(ranks), list_positions(ranks, ties)};
      for (const int32_t k : {1, 5, 20, 50}) {
        EXPECT_DOUBLE_EQ(recall_of_list(lists, k), recall_at(list, k));
        EXPECT_DOUBLE_EQ(ndcg_of_list(lists, k), ndcg_at(list, k));
      }
      EXPECT_DOUBLE_EQ(mrr_of_list(lists, 1), mrr_of(list));
    }
  }
}

TEST(UserLists, EqualItemsStandBeforeBehindOrAmidTheirEquals) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Scored user = scored(seed, 4);
    for (const Ties ties : {Ties::kMid, Ties::kBest, Ties::kWorst}) {
      std::vector<int32_t> ranks;
      std::map<int32_t, int32_t> relevant_above;  // of each score: relevant items of it
      for (const int32_t item : user.relevant) {
        const Place place = place_of(user, item);
        ranks.push_back(1 + place.above +
                        (ties == Ties::kBest    ? 0
                         : ties == Ties::kWorst ? place.equal
                                                : place.equal / 2));
        ++relevant_above[place.above];
      }
      const std::vector<int32_t> positions = list_positions(ranks, ties);
      ASSERT_EQ(positions.size(), ranks.size());
      EXPECT_EQ(std::set<int32_t>(positions.begin(), positions.end()).size(), positions.size());
      size_t at = 0;
      for (const auto& [above, relevant] : relevant_above) {
        int32_t equals = 0;
        for (const int32_t item : user.relevant)
          if (place_of(user, item).above == above) equals = 1 + place_of(user, item).equal;
        double sum = 0;
        for (int32_t one = 0; one < relevant; ++one) sum += positions[at++];
        const double middle = sum / relevant - above;  // from 1 to `equals`
        const double first = (1.0 + relevant) / 2, last = equals - (relevant - 1.0) / 2;
        if (ties == Ties::kBest) {
          EXPECT_DOUBLE_EQ(middle, first);
        } else if (ties == Ties::kWorst) {
          EXPECT_DOUBLE_EQ(middle, last);
        } else {
          EXPECT_LE(std::abs(middle - (first + last) / 2), 0.5);
        }
      }
    }
  }
}

/// Two users; the first clicked item 3 twice and read all but item 1.
TEST(UserLists, HaveEachItemOfAUserOnce) {
  ScratchFolder scratch;
  TinyDataset tiny = random_tiny_dataset(1, 2, 5, 5);
  const int32_t items[] = {3, 1, 3, 0, 2};
  for (size_t i = 0; i < 5; ++i) {
    tiny.clicks[i].user = i < 3 ? 0 : 1;
    tiny.clicks[i].item = items[i];
    tiny.clicks[i].time = 1'000'000 * static_cast<int64_t>(i + 1);
    tiny.clicks[i].seconds = i == 1 ? 1.0F : 100.0F;
  }
  tiny.protocol.lists = "user";
  tiny.write(scratch / "data");
  const Dataset dataset(scratch / "data");
  CatalogueRanks ranks;
  ranks.click = {0, 1, 2, 3, 4};
  ranks.rank = {2, 1, 2, 5, 0};
  const auto all = user_lists(dataset, ranks, Ties::kMid, false);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].relevant, 2);
  EXPECT_THAT(all[0].positions, ElementsAre(1, 2));
  EXPECT_EQ(all[1].relevant, 2);
  EXPECT_THAT(all[1].positions, ElementsAre(5));
  const auto reads = user_lists(dataset, ranks, Ties::kMid, true);
  EXPECT_EQ(reads[0].relevant, 1);
  EXPECT_THAT(reads[0].positions, ElementsAre(2));
  // By user: recall (1 + 0) / 2 at 2; by event it would be 3 / 5.
  EXPECT_DOUBLE_EQ(rank_metric(dataset, ranks, "recall_click@2"), 0.5);
  EXPECT_DOUBLE_EQ(rank_metric(dataset, ranks, "recall@5"), (1 + 0.5) / 2);
  EXPECT_DOUBLE_EQ(rank_metric(dataset, ranks, "mrr"), (1 + 0.2) / 2);
}

}  // namespace
}  // namespace retort
