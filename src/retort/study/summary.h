// Rows of several seeds summed up: mean, deviation over seeds, interval by user.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "retort/common/json.h"
#include "retort/study/judge.h"

namespace retort {

struct SummaryMetric {
  std::string name;
  double mean = 0;
  double deviation = 0;            // sample deviation over seeds; NaN for fewer than two
  double low = 0, high = 0;        // 95% by user: percentiles of the seeds' mean in each resample
  std::vector<double> seeds;       // value of each seed
  std::vector<double> replicates;  // [resamples] mean over seeds; empty for coverage, ece
};

struct SummaryRow {
  std::string name;
  RowRole kind = RowRole::kModel;
  std::vector<SummaryMetric> metrics;
  std::vector<Json> details{};  // JudgedRow::details of each seed
  const SummaryMetric* find(std::string_view metric) const;
};

/// Sums up the rows of one model's seeds, judged on the same resamples.
/// Throws ArgumentError if they differ in their metrics.
SummaryRow summarise(std::span<const JudgedRow> seeds);

/// How much more of a metric one row has than another, on the same seeds, users and resamples.
struct Difference {
  std::string metric, row, other;
  Interval users;                 // 95% by user
  std::optional<Interval> seeds;  // 95% over seeds, where both rows have several
  /// "better" or "worse" where every interval that there is lies on that side of 0, else "not
  /// distinguishable".
  std::string verdict() const;
};
/// row - other for auc_read and recall@K, where both have them with intervals.
std::vector<Difference> differences(const SummaryRow& row, const SummaryRow& other);

/// 95% over seeds by Student's t; of a single seed the interval by user.
Interval seed_interval(const SummaryMetric& metric);
/// row - other, paired by seed: 95% by Student's t over the seeds' differences; of a single seed
/// user_difference. Throws ArgumentError if the two have not the same number of seeds.
Interval seed_difference(const SummaryMetric& row, const SummaryMetric& other);
/// row - other, 95% by user, paired by resample; of what no user changes (seconds) the difference
/// itself, of a single seed then without interval. Throws ArgumentError if the two have not the
/// same number of resamples.
Interval user_difference(const SummaryMetric& row, const SummaryMetric& other);

/// {"value": mean, "low", "high" (by user), "low_seeds", "high_seeds" (Student's t; of several
/// seeds), "deviation", "seeds": [..]} for each metric.
Json to_json(const SummaryRow& row);

}  // namespace retort
