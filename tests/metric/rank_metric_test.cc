#include "retort/metric/rank_metric.h"

#include <cmath>
#include <limits>

#include "tests/support/scratch_folder.h"
#include "tests/support/tiny_dataset.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

/// Clicks of 10, 30 and unknown seconds, at ranks 1, 4 and 2.
class RankMetric : public testing::Test {
 protected:
  RankMetric() {
    TinyDataset tiny = random_tiny_dataset(1, 3, 5, 40);
    tiny.sort();
    const float seconds[] = {10, 30, std::numeric_limits<float>::quiet_NaN()};
    for (size_t i = 0; i < 3; ++i) tiny.clicks[i].seconds = seconds[i];
    tiny.write(scratch_ / "data");
    dataset_ = std::make_unique<Dataset>(scratch_ / "data");
    ranks_.click = {0, 1, 2};
    ranks_.rank = {1, 4, 2};
  }
  double value(const std::string& metric) const { return rank_metric(*dataset_, ranks_, metric); }
  const ScratchFolder scratch_;
  std::unique_ptr<Dataset> dataset_;
  CatalogueRanks ranks_;
};

TEST_F(RankMetric, EqualsTheHandTable) {
  EXPECT_DOUBLE_EQ(value("recall@2"), 2.0 / 3);
  EXPECT_DOUBLE_EQ(value("recall_click@1"), 1.0 / 3);
  EXPECT_DOUBLE_EQ(value("mrr"), (1 + 0.25 + 0.5) / 3);
  EXPECT_NEAR(value("ndcg@2"), (1 + 1 / std::log2(3.0)) / 3, 1e-12);
  EXPECT_DOUBLE_EQ(value("wrecall@2"), 10.0 / 40);
  EXPECT_DOUBLE_EQ(value("wrecall@4"), 1);
}

TEST_F(RankMetric, SaysWhatIsMissing) {
  EXPECT_THROW(value("recal@2"), ArgumentError);
  ranks_.click = {2};
  ranks_.rank = {1};
  EXPECT_THROW(value("wrecall@2"), DataError);
  EXPECT_THROW(rank_metric(*dataset_, {}, "mrr"), DataError);
}

TEST(MetricNames, CarryTheirK) {
  EXPECT_EQ(metric_k("recall@20", "recall"), 20);
  for (const char* wrong : {"recall@0", "recall@2x", "recall", "wrecall@20", "recall_click@20"})
    EXPECT_EQ(metric_k(wrong, "recall"), 0) << wrong;
  EXPECT_TRUE(of_every_click("wrecall@5"));
  EXPECT_TRUE(of_every_click("recall_click@5"));
  EXPECT_FALSE(of_every_click("recall@5"));
}

TEST(BestWeight, IsOfTheLargestValueAndOfEqualsNearestToAHalf) {
  const std::vector<double> weights{0, 0.25, 0.5, 0.75, 1};
  EXPECT_EQ(best_weight(weights, std::vector<double>{1, 2, 3, 4, 5}), 4U);
  EXPECT_EQ(best_weight(weights, std::vector<double>{5, 5, 1, 5, 5}), 1U);
  EXPECT_THROW(best_weight({}, {}), ArgumentError);
}

}  // namespace
}  // namespace retort
