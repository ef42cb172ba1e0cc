// A comparison laid out as the table of a publication: what was measured beside what was
// published, and what becomes of its claims.
#pragma once

#include <string>
#include <vector>

#include "retort/common/json.h"
#include "retort/study/compare.h"
#include "retort/study/compare_recipe.h"

namespace retort {

/// A comparison on one of the plan's data recipes.
struct DataResult {
  std::string data;
  CompareResult result;
};

/// Adds the K and sets the N of the plan's metrics to what is judged; a plan of metrics without
/// nktd has it judged not at all.
void want_metrics(const ComparePlan& plan, const Dataset& dataset, EvaluateOptions& options);

/// The plan's metrics as the result has them: "nktd" is its nktd@N, others are as they stand.
/// Throws ConfigError naming one that no row has.
std::vector<std::string> table_metrics(const ComparePlan& plan, const CompareResult& result);

/// What is measured of a claim in one metric, and the word for it.
struct Verdict {
  Claim claim;
  std::string metric;
  Interval seeds;  // row - other, paired by seed: other trainings
  Interval users;  // the same mean, paired by resample: other users
  /// "reproduced", "not distinguishable" or "reversed", by where both 95% intervals lie: beyond 0
  /// on the expected side, around 0, beyond 0 on the other. Of expected = "same": inside the
  /// margin, across it, outside. Where the two intervals say different things: not distinguishable.
  std::string verdict;
};
/// The claims about rows that the data have; those that expect the published figures are left out
/// where a figure is missing or both are equal.
std::vector<Verdict> judge_claims(const ComparePlan& plan, const DataResult& measured);

/// Of all pairs of rows with different published figures of a metric: how many verdicts of each.
struct OrderCount {
  std::string metric;
  int64_t reproduced = 0, not_distinguishable = 0, reversed = 0;
};
std::vector<OrderCount> judge_order(const ComparePlan& plan, const DataResult& measured);

/// {"name", "title", "metrics", "published_note", "data": {DATA: {as to_json of CompareResult,
/// "table": [{"label", "title", METRIC: {"value", "low", "high", "published"}}], "claims",
/// "order"}}}
Json plan_json(const ComparePlan& plan, const std::vector<DataResult>& measured);
/// Of each data recipe: the table (mean and half its 95% interval, published figures beside), the
/// rows of teachers, baselines and oracle below, claims with their verdicts, order, what was
/// judged, warnings about the plan's metrics.
std::string plan_table(const ComparePlan& plan, const std::vector<DataResult>& measured);

}  // namespace retort
