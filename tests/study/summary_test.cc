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
  EXPECT_NEAR(found[0].value, 0.1, 1e-12);
  // 0.08, 0.10, 0.12: far narrower than either row's own interval
  EXPECT_NEAR(found[0].low, 0.08 + 0.05 * 0.02, 1e-12);
  EXPECT_NEAR(found[0].high, 0.12 - 0.05 * 0.02, 1e-12);
}

TEST(Summary, RefusesSeedsOfOtherMetrics) {
  std::vector<JudgedRow> seeds{seed_row(0.8, {0.7}), seed_row(0.8, {0.7})};
  seeds[1].metrics.erase(seeds[1].metrics.begin());
  EXPECT_THROW(summarise(seeds), ArgumentError);
}

}  // namespace
}  // namespace retort
