#include "retort/metric/auc.h"

#include <cmath>

#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/file.h"
#include "retort/common/json.h"
#include "retort/common/rng.h"

namespace retort {
namespace {

Json golden() { return Json::parse(read_file(RETORT_TESTS "/metric/golden/metrics.json")); }

std::vector<RowKind> to_kinds(const std::vector<int>& numbers) {
  std::vector<RowKind> kinds;
  for (const int number : numbers) kinds.push_back(static_cast<RowKind>(number));
  return kinds;
}

/// All pairs of a positive and a negative, a tie counting one half; rows repeat by weight.
double all_pairs(const std::vector<float>& scores, const std::vector<int>& kinds,
                 const std::vector<int>& positive, const std::vector<int>& negative,
                 const std::vector<double>& weights) {
  double won = 0, pairs = 0;
  for (size_t a = 0; a < scores.size(); ++a) {
    if (std::find(positive.begin(), positive.end(), kinds[a]) == positive.end()) continue;
    for (size_t b = 0; b < scores.size(); ++b) {
      if (std::find(negative.begin(), negative.end(), kinds[b]) == negative.end()) continue;
      const double weight = weights[a] * weights[b];
      pairs += weight;
      won += weight * (scores[a] > scores[b] ? 1 : scores[a] == scores[b] ? 0.5 : 0);
    }
  }
  return won / pairs;
}

struct Rows {
  std::vector<float> scores;
  std::vector<int> kinds;
  std::vector<int32_t> users;
};

Rows random_rows(int64_t count, uint64_t levels) {
  const Rng rng(7, "rows");
  Rows rows;
  for (int64_t row = 0; row < count; ++row) {
    rows.kinds.push_back(static_cast<int>(rng.below(3, 3 * row)));
    rows.scores.push_back(static_cast<float>(rng.below(levels, 3 * row + 1)) / 8);
    rows.users.push_back(static_cast<int32_t>(rng.below(11, 3 * row + 2)));
  }
  return rows;
}

TEST(Auc, MatchesHandTables) {
  const std::vector<uint8_t> labels{1, 0, 1, 0};
  EXPECT_DOUBLE_EQ(auc(std::vector<float>{4, 3, 2, 1}, labels), 0.75);
  EXPECT_DOUBLE_EQ(auc(std::vector<float>{4, 1, 3, 2}, labels), 1.0);
  EXPECT_DOUBLE_EQ(auc(std::vector<float>{1, 4, 2, 3}, labels), 0.0);
}

TEST(Auc, TiesCountOneHalf) {
  EXPECT_DOUBLE_EQ(auc(std::vector<float>{1, 1, 1, 1}, std::vector<uint8_t>{1, 0, 1, 0}), 0.5);
  // pairs: (2,2) half, (2,1) won, (1,2) lost, (1,1) half
  EXPECT_DOUBLE_EQ(auc(std::vector<float>{2, 2, 1, 1}, std::vector<uint8_t>{1, 0, 1, 0}), 0.5);
  EXPECT_DOUBLE_EQ(auc(std::vector<float>{2, 2, 1}, std::vector<uint8_t>{1, 0, 0}), 0.75);
}

TEST(Auc, IsNotANumberWithoutBothClasses) {
  EXPECT_TRUE(std::isnan(auc(std::vector<float>{1, 2}, std::vector<uint8_t>{1, 1})));
  EXPECT_TRUE(std::isnan(auc(std::vector<float>{1, 2}, std::vector<uint8_t>{0, 0})));
  EXPECT_TRUE(std::isnan(auc(std::vector<float>{}, std::vector<uint8_t>{})));
}

TEST(Auc, RefusesNanScoresAndUnequalSizes) {
  EXPECT_THROW(auc(std::vector<float>{1, NAN}, std::vector<uint8_t>{1, 0}), ArgumentError);
  EXPECT_THROW(auc(std::vector<float>{1}, std::vector<uint8_t>{1, 0}), ArgumentError);
}

TEST(Auc, OrdersInfiniteScores) {
  EXPECT_DOUBLE_EQ(auc(std::vector<float>{INFINITY, 0, -INFINITY}, std::vector<uint8_t>{1, 1, 0}),
                   1.0);
}

TEST(AucSplit, EqualsAllPairs) {
  for (const uint64_t levels : {3, 40, 100000}) {
    const Rows rows = random_rows(300, levels);
    const std::vector<double> ones(300, 1);
    const AucSplit split = SortedRows(rows.scores, to_kinds(rows.kinds), rows.users).split();
    EXPECT_NEAR(split.auc_read, all_pairs(rows.scores, rows.kinds, {2}, {0, 1}, ones), 1e-12);
    EXPECT_NEAR(split.auc_click, all_pairs(rows.scores, rows.kinds, {1, 2}, {0}, ones), 1e-12);
    EXPECT_NEAR(split.auc_read_given_click, all_pairs(rows.scores, rows.kinds, {2}, {1}, ones),
                1e-12);
    EXPECT_NEAR(split.auc_read_vs_sampled, all_pairs(rows.scores, rows.kinds, {2}, {0}, ones),
                1e-12);
  }
}

TEST(AucSplit, AddsUpToTheWhole) {
  const Rows rows = random_rows(5000, 500);
  const AucSplit split = SortedRows(rows.scores, to_kinds(rows.kinds), rows.users).split();
  EXPECT_NEAR(
      split.auc_read,
      split.omega * split.auc_read_given_click + (1 - split.omega) * split.auc_read_vs_sampled,
      1e-12);
  std::vector<uint8_t> read;
  for (const int kind : rows.kinds) read.push_back(kind == 2);
  EXPECT_NEAR(split.auc_read, auc(rows.scores, read), 1e-12);
}

TEST(AucSplit, WeightsRepeatRows) {
  const Rows rows = random_rows(200, 30);
  const std::vector<uint8_t> user_weights{0, 1, 2, 3, 1, 0, 1, 5, 1, 0, 2};
  std::vector<double> weights;
  for (const int32_t user : rows.users) weights.push_back(user_weights[user]);
  const AucSplit split =
      SortedRows(rows.scores, to_kinds(rows.kinds), rows.users).split(user_weights);
  EXPECT_NEAR(split.auc_read, all_pairs(rows.scores, rows.kinds, {2}, {0, 1}, weights), 1e-12);
  EXPECT_NEAR(split.auc_click, all_pairs(rows.scores, rows.kinds, {1, 2}, {0}, weights), 1e-12);
}

TEST(AucSplit, MatchesGoldenValues) {
  const Json expected = golden();
  const auto scores = expected["scores"].get<std::vector<float>>();
  const auto kinds = expected["kinds"].get<std::vector<int>>();
  const auto users = expected["users"].get<std::vector<int32_t>>();
  const AucSplit split = SortedRows(scores, to_kinds(kinds), users).split();
  EXPECT_NEAR(split.auc_read, expected["auc_read"].get<double>(), 1e-12);
  EXPECT_NEAR(split.auc_click, expected["auc_click"].get<double>(), 1e-12);
  EXPECT_NEAR(split.auc_read_given_click, expected["auc_read_given_click"].get<double>(), 1e-12);
  EXPECT_NEAR(split.auc_read_vs_sampled, expected["auc_read_vs_sampled"].get<double>(), 1e-12);
  EXPECT_NEAR(split.omega, expected["omega"].get<double>(), 1e-12);
}

TEST(AucSplit, EmptyKindsGiveNan) {
  const std::vector<float> scores{1, 2, 3};
  const std::vector<int32_t> users{0, 0, 0};
  const AucSplit split = SortedRows(scores, to_kinds({0, 2, 2}), users).split();
  EXPECT_DOUBLE_EQ(split.auc_read, 1);
  EXPECT_DOUBLE_EQ(split.omega, 0);
  EXPECT_TRUE(std::isnan(split.auc_read_given_click));
}

TEST(Gauc, WeightsUsersByRowsAndCountsThoseLeftOut) {
  // user 0: AUC 1 of 2 rows; user 1: AUC 0.5 of 3 rows; user 2: one class; user 3: no rows
  const std::vector<float> scores{2, 1, 5, 5, 5, 9};
  const std::vector<uint8_t> labels{1, 0, 1, 0, 0, 1};
  const std::vector<int32_t> users{0, 0, 1, 1, 1, 2};
  const Gauc result = gauc(scores, labels, users, 4);
  EXPECT_DOUBLE_EQ(result.value, (2 * 1.0 + 3 * 0.5) / 5);
  EXPECT_EQ(result.users, 2);
  EXPECT_EQ(result.left_out, 1);
  EXPECT_EQ(result.rows, (std::vector<double>{2, 3, 0, 0}));
  EXPECT_EQ(result.weighted, (std::vector<double>{2, 1.5, 0, 0}));
}

TEST(Gauc, MatchesGoldenValue) {
  const Json expected = golden();
  std::vector<uint8_t> labels;
  for (const int kind : expected["kinds"]) labels.push_back(kind == 2);
  const Gauc result = gauc(expected["scores"].get<std::vector<float>>(), labels,
                           expected["users"].get<std::vector<int32_t>>(), 25);
  EXPECT_NEAR(result.value, expected["gauc"].get<double>(), 1e-12);
}

TEST(Gauc, IsNotANumberWithoutAUserOfBothClasses) {
  const Gauc result =
      gauc(std::vector<float>{1, 2}, std::vector<uint8_t>{1, 0}, std::vector<int32_t>{0, 1}, 2);
  EXPECT_TRUE(std::isnan(result.value));
  EXPECT_EQ(result.left_out, 2);
}

}  // namespace
}  // namespace retort
