// What all replayed tests have in common: metrics of arms, their differences from the first one
// with intervals by user, and verdicts in words.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "retort/common/json.h"
#include "retort/metric/bootstrap.h"

namespace retort {

/// A metric of one arm, before it is summed up over users.
struct AbMeasure {
  std::string name;
  int better = 1;  // 1: more is better, -1: less, 0: neither
  UserRatio ratio;
};

struct AbMetric {
  std::string name;
  Interval value;  // 95 % by user
};

/// An arm's metric less the control's, paired by user: one resample weighs both.
struct AbDifference {
  std::string metric, arm;
  Interval absolute;
  Interval relative;                // divided by the control's value; NaN where that is 0
  std::string verdict;              // verdict_of(absolute)
  std::optional<double> published;  // relative difference that a publication states
  std::string claim;                // claim_of(absolute, published); empty without
  /// Of the absolute difference after the last user, valid at every look (PairedSequence); absent
  /// where nobody said in which order users came.
  std::optional<Interval> sequential{};
  /// After how many users it first excluded 0, looked at after each of them from
  /// PairedSequence::kFirstLook on; absent: never.
  std::optional<int64_t> decided_after{};
};

struct AbSection {
  std::string name;
  std::vector<std::vector<AbMetric>> metrics;  // [arms][metrics]
  std::vector<AbDifference> differences;       // of each arm but the control, [arms - 1][metrics]
};

/// How a section's arms are compared.
struct AbComparison {
  std::vector<std::string> arms;  // names; the first is the control
  BootstrapOptions bootstrap;
  /// What a publication states of an arm's metric, relative to the control.
  std::function<std::optional<double>(size_t arm, const std::string& metric)> published;
  std::vector<int32_t> arrivals{};  // users in the order in which they came; may be empty
};

/// `measures`: [arms][metrics], the same metrics of the same users in every arm. All arms and
/// metrics are on the same resamples.
AbSection sum_up(const std::string& name, const std::vector<std::vector<AbMeasure>>& measures,
                 const AbComparison& comparison);

/// "equal" (0 in every resample), "not distinguishable" (the interval holds 0), "better", "worse";
/// `better`: 1 if more is better, -1 if less, 0 if neither, which gives "more" or "less".
std::string verdict_of(const Interval& difference, int better);

/// What a measured difference says of a published one: "reproduced" (its sign, and the interval
/// excludes 0) | "reversed" | "not distinguishable".
std::string claim_of(const Interval& difference, double published);

/// {"value", "low", "high"}
Json json_of(const Interval& interval);
/// {"metric", "arm", "value", "low", "high", "relative": {..}, "verdict"} and, where there are
/// such, "published", "claim", "sequential": {"low", "high", "decided_after"}.
Json json_of(const AbDifference& difference);
/// {"models": {ARM: {METRIC: {"value", "low", "high"}}}, "differences": [..]}
Json json_of(const AbSection& section, const std::vector<std::string>& arms);

/// "+1.23%"
std::string signed_percent(double share);

}  // namespace retort
