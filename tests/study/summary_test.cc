#include "retort/study/summary.h"

#include <cmath>

#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

JudgedRow seed_row(double value, std::vector<double> replicates) {
  return {"dmtl",
          RowRole::kModel,
          {{"auc_read", {value, 0, 0}, std::move(replicates)},
           {"coverage@20", {value, value, value}, {}}}};
}

TEST(Summary, TakesMeanDeviationAndPairedInterval) {
  const std::vector<JudgedRow> seeds{seed_row(0.8, {0.7, 0.8, 0.9}), seed_row(0.9, {0.9, 1.0, 1.1}),
                                     seed_row(0.7, {0.5, 0.6, 0.7})};
  const SummaryRow row = summarise(seeds);
  const SummaryMetric* metric = row.find("auc_read");
  ASSERT_NE(metric, nullptr);
  EXPECT_NEAR(metric->mean, 0.8, 1e-12);
  EXPECT_NEAR(metric->deviation, 0.1, 1e-12);
  // means of each resample over seeds: 0.7, 0.8, 0.9
  EXPECT_NEAR(metric->low, 0.7 + 0.05 * 0.1, 1e-12);
  EXPECT_NEAR(metric->high, 0.9 - 0.05 * 0.1, 1e-12);
  EXPECT_EQ(metric->seeds, (std::vector<double>{0.8, 0.9, 0.7}));
  EXPECT_NEAR(row.find("coverage@20")->low, 0.8, 1e-12);
  EXPECT_EQ(to_json(row)["auc_read"]["seeds"].size(), 3u);
}

TEST(Summary, OneSeedHasNoDeviation) {
  const JudgedRow only = seed_row(0.8, {0.7, 0.9});
  const SummaryRow row = summarise(std::span(&only, 1));
  EXPECT_TRUE(std::isnan(row.find("auc_read")->deviation));
  EXPECT_TRUE(to_json(row)["auc_read"]["deviation"].is_null());
}

TEST(Summary, DifferencesArePairedByResample) {
  const JudgedRow better = seed_row(0.8, {0.70, 0.80, 0.90}),
                  worse = seed_row(0.7, {0.62, 0.70, 0.78});
  const SummaryRow row = summarise(std::span(&better, 1)), other = summarise(std::span(&worse, 1));
  const auto found = differences(row, other);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].metric, "auc_read");
  EXPECT_NEAR(found[0].users.value, 0.1, 1e-12);
  // 0.08, 0.10, 0.12: far narrower than either row's own interval
  EXPECT_NEAR(found[0].users.low, 0.08 + 0.05 * 0.02, 1e-12);
  EXPECT_NEAR(found[0].users.high, 0.12 - 0.05 * 0.02, 1e-12);
  EXPECT_FALSE(found[0].seeds.has_value());
  EXPECT_EQ(found[0].verdict(), "better");
  // Seeds that disagree take the verdict back, whatever users say.
  const std::vector<JudgedRow> two{seed_row(0.9, {0.9, 0.9, 0.9}), seed_row(0.6, {0.6, 0.6, 0.6})};
  const std::vector<JudgedRow> base{seed_row(0.7, {0.7, 0.7, 0.7}), seed_row(0.7, {0.7, 0.7, 0.7})};
  const auto torn = differences(summarise(two), summarise(base));
  EXPECT_NEAR(torn[0].users.low, 0.05, 1e-12);
  EXPECT_NEAR(torn[0].seeds->value, 0.05, 1e-12);
  EXPECT_LT(torn[0].seeds->low, 0);
  EXPECT_EQ(torn[0].verdict(), "not distinguishable");
}

SummaryMetric metric_of(std::vector<double> seeds) {
  SummaryMetric metric;
  metric.name = "recall@20";
  for (const double value : seeds) metric.mean += value / static_cast<double>(seeds.size());
  metric.seeds = std::move(seeds);
  return metric;
}

// Quantiles of Student's t: 4.302653 (2 degrees of freedom), 2.039513 (31), from tables.
TEST(Summary, IntervalOverSeedsIsStudentsT) {
  const Interval three = seed_interval(metric_of({1, 2, 3}));
  EXPECT_NEAR(three.value, 2, 1e-12);
  EXPECT_NEAR(three.low, 2 - 4.302653 / std::sqrt(3.0), 1e-4);
  EXPECT_NEAR(three.high, 2 + 4.302653 / std::sqrt(3.0), 1e-4);
  std::vector<double> many;
  for (int at = 0; at < 32; ++at) many.push_back(at % 2);
  const double deviation = std::sqrt(0.25 * 32 / 31);
  EXPECT_NEAR(seed_interval(metric_of(many)).high, 0.5 + 2.039513 * deviation / std::sqrt(32.0),
              1e-4);
}

TEST(Summary, OneSeedHasTheIntervalByUser) {
  SummaryMetric one = metric_of({2});
  one.low = 1.5;
  one.high = 2.25;
  EXPECT_EQ(seed_interval(one).low, 1.5);
  EXPECT_EQ(seed_interval(one).high, 2.25);
}

TEST(Summary, SeedDifferencesArePaired) {
  // Differences 0.1, 0.2, 0.3: mean 0.2, deviation 0.1, whatever the seeds' own spread.
  const Interval paired = seed_difference(metric_of({5.1, 9.2, 1.3}), metric_of({5, 9, 1}));
  EXPECT_NEAR(paired.value, 0.2, 1e-12);
  EXPECT_NEAR(paired.low, 0.2 - 4.302653 * 0.1 / std::sqrt(3.0), 1e-5);
  EXPECT_THROW(seed_difference(metric_of({1, 2}), metric_of({1, 2, 3})), ArgumentError);
  SummaryMetric one = metric_of({0.8}), other = metric_of({0.7});
  one.replicates = {0.70, 0.80, 0.90};
  other.replicates = {0.62, 0.70, 0.78};
  EXPECT_NEAR(seed_difference(one, other).low, 0.08 + 0.05 * 0.02, 1e-12);
}

TEST(Summary, RefusesSeedsOfOtherMetrics) {
  std::vector<JudgedRow> seeds{seed_row(0.8, {0.7}), seed_row(0.8, {0.7})};
  seeds[1].metrics.erase(seeds[1].metrics.begin());
  EXPECT_THROW(summarise(seeds), ArgumentError);
}

}  // namespace
}  // namespace retort
