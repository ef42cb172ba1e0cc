#include "retort/metric/ranking.h"

#include <cmath>

#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/file.h"
#include "retort/common/json.h"
#include "retort/metric/registry.h"

namespace retort {
namespace {

TEST(RankOfOne, MatchesHandTable) {
  EXPECT_EQ(recall_of_rank(3, 3), 1);
  EXPECT_EQ(recall_of_rank(4, 3), 0);
  EXPECT_EQ(recall_of_rank(0, 3), 0);  // a miss is no first place
  EXPECT_DOUBLE_EQ(ndcg_of_rank(1, 3), 1);
  EXPECT_DOUBLE_EQ(ndcg_of_rank(3, 3), 0.5);
  EXPECT_EQ(ndcg_of_rank(4, 3), 0);
  EXPECT_EQ(ndcg_of_rank(0, 3), 0);
  EXPECT_DOUBLE_EQ(reciprocal_rank(4), 0.25);
  EXPECT_EQ(reciprocal_rank(0), 0);
}

TEST(WeightedRecall, IsTheHitShareOfTheWeight) {
  const std::vector<int32_t> ranks{1, 4, 3, 0, 2}, users{0, 0, 1, 2, 1};
  const std::vector<float> weights{10, 30, 5, 15, NAN};
  const UserRatio at3 = weighted_recall(ranks, weights, users, 4, 3);
  EXPECT_DOUBLE_EQ(at3.value(), 15.0 / 60);
  EXPECT_DOUBLE_EQ(weighted_recall(ranks, weights, users, 4, 4).value(), 45.0 / 60);
  // The bootstrap draws users with all their events: user 0 twice, user 2 never.
  EXPECT_DOUBLE_EQ(at3.value(std::vector<uint8_t>{2, 1, 0, 1}), 25.0 / 85);
}

TEST(WeightedRecall, WithEqualWeightsIsRecall) {
  const std::vector<int32_t> ranks{1, 4, 3, 0}, users{0, 0, 0, 0};
  const std::vector<float> weights(4, 2.5f);
  double recall = 0;
  for (const int32_t rank : ranks) recall += recall_of_rank(rank, 3) / 4;
  EXPECT_DOUBLE_EQ(weighted_recall(ranks, weights, users, 1, 3).value(), recall);
}

TEST(WeightedRecall, WithoutWeightIsNanAndWrongInputIsRefused) {
  const std::vector<int32_t> ranks{1, 2}, users{0, 0}, stranger{0, 1};
  const std::vector<float> none{0, NAN}, negative{1, -1}, good{1, 1};
  EXPECT_TRUE(std::isnan(weighted_recall(ranks, none, users, 1, 3).value()));
  EXPECT_THROW(weighted_recall(ranks, negative, users, 1, 3), ArgumentError);
  EXPECT_THROW(weighted_recall(ranks, good, stranger, 1, 3), ArgumentError);
  EXPECT_THROW(weighted_recall(ranks, std::span(good).first(1), users, 1, 3), ArgumentError);
  EXPECT_THROW(weighted_recall(ranks, good, users, 1, 0), ArgumentError);
}

TEST(RankedList, MatchesHandTable) {
  const RankedList list{{5, 3, 9, 1}, {3, 1, 8}};
  EXPECT_DOUBLE_EQ(recall_at(list, 2), 1.0 / 3);
  EXPECT_DOUBLE_EQ(recall_at(list, 4), 2.0 / 3);
  EXPECT_DOUBLE_EQ(recall_at(list, 100), 2.0 / 3);  // K beyond the list
  EXPECT_DOUBLE_EQ(mrr_of(list), 0.5);
  const double second = 1 / std::log2(3.0), fourth = 1 / std::log2(5.0);
  EXPECT_DOUBLE_EQ(ndcg_at(list, 4), (second + fourth) / (1 + second + 0.5));
  EXPECT_DOUBLE_EQ(ndcg_at(list, 2), second / (1 + second));
}

TEST(RankedList, NoHitIsZeroAndNothingRelevantIsNan) {
  EXPECT_EQ(recall_at({{1, 2}, {7}}, 2), 0);
  EXPECT_EQ(mrr_of({{1, 2}, {7}}), 0);
  EXPECT_EQ(ndcg_at({{}, {7}}, 2), 0);
  EXPECT_TRUE(std::isnan(recall_at({{1, 2}, {}}, 2)));
  EXPECT_TRUE(std::isnan(ndcg_at({{1, 2}, {}}, 2)));
  EXPECT_TRUE(std::isnan(mrr_of({{1, 2}, {}})));
  EXPECT_THROW(recall_at({{1}, {1}}, 0), ArgumentError);
}

TEST(RankedList, NdcgMatchesGoldenValues) {
  const Json expected = Json::parse(read_file(RETORT_TESTS "/metric/golden/metrics.json"));
  RankedList list;
  for (int32_t item = 0; const int relevant : expected["relevance"]) {
    list.ranked.push_back(item);
    if (relevant != 0) list.relevant.push_back(item);
    ++item;
  }
  EXPECT_NEAR(ndcg_at(list, 5), expected["ndcg_5"].get<double>(), 1e-12);
  EXPECT_NEAR(ndcg_at(list, 30), expected["ndcg_30"].get<double>(), 1e-12);
}

TEST(RankedList, OneRelevantItemAgreesWithItsRank) {
  const RankedList list{{4, 2, 7}, {7}};
  EXPECT_DOUBLE_EQ(ndcg_at(list, 3), ndcg_of_rank(3, 3));
  EXPECT_DOUBLE_EQ(recall_at(list, 3), recall_of_rank(3, 3));
  EXPECT_DOUBLE_EQ(mrr_of(list), reciprocal_rank(3));
}

TEST(MeanOverUsers, TreatsEmptyUsersAsTold) {
  const std::vector<double> values{1, NAN, 0.5};
  EXPECT_DOUBLE_EQ(mean_over_users(values, EmptyUsers::kLeaveOut), 0.75);
  EXPECT_DOUBLE_EQ(mean_over_users(values, EmptyUsers::kZero), 0.5);
  EXPECT_TRUE(std::isnan(mean_over_users(std::vector<double>{NAN}, EmptyUsers::kLeaveOut)));
}

TEST(Coverage, CountsDistinctItems) {
  const std::vector<RankedList> lists{{{1, 2, 3}, {}}, {{2, 1}, {}}, {{4}, {}}};
  EXPECT_DOUBLE_EQ(coverage_at(lists, 2, 10), 0.3);
  EXPECT_DOUBLE_EQ(coverage_at(lists, 3, 10), 0.4);
  EXPECT_TRUE(std::isnan(coverage_at(lists, 3, 0)));
}

TEST(Metrics, EveryEntryIsDescribed) {
  for (const MetricEntry& entry : metrics()) {
    EXPECT_FALSE(entry.name.empty() || entry.summary.empty() || entry.source.empty());
  }
}

}  // namespace
}  // namespace retort
