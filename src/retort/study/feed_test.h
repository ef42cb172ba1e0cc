// `retort abtest` in the simulated feed: table 2 of the DMTL paper replayed, and what the log alone
// would have said of each arm. Arms differ in their candidates alone and meet the same luck.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "retort/common/json.h"
#include "retort/study/abtest_section.h"
#include "retort/study/feed_test_recipe.h"
#include "retort/study/off_policy.h"

namespace retort {

/// What the log says of one arm, beside what the replay expects of it (absent without a world).
struct FeedEstimate {
  OffPolicyEstimate seconds, ctr;
  std::optional<double> expected_seconds, expected_ctr;
};

/// One ranker. Without a world there are estimates alone, with counterfactual.enabled = false none.
struct FeedRankerResult {
  std::string ranker;
  std::optional<AbSection> section;
  std::vector<double> coverage;  // [arms] items shown to anybody / items alive
  /// Arms with a published figure by that figure, each against the next lower one: expected_seconds
  /// and seconds, with claims.
  std::vector<AbDifference> order;
  std::vector<std::string> order_below;  // the lower arm of each
  std::vector<FeedEstimate> estimates;   // [arms]
};

struct FeedTestResult {
  std::string name, source;         // the world, or the log
  std::optional<int32_t> day;       // of a world
  int64_t from = 0, until = 0;      // the time that is tested, microseconds since 1970
  int64_t users = 0, requests = 0;  // requests: 0 without a world
  int32_t candidates = 0, slots = 0;
  Json arms;  // [{"name", "bundle", "model", "version", "moment"} or "oracle"]
  std::vector<std::string> names;
  std::vector<FeedRankerResult> rankers;
  std::optional<double> logged_seconds, logged_ctr;  // of the log's own policy in that time
  std::vector<std::string> notes;
};

/// Every user opens the feed when the world's law says so, and each time sees the first slots of
/// the arm's candidates as the common ranker orders them. The ranker knows the log before the day
/// and no arm. Metrics, an impression each: seconds (T / M of the paper), ctr, reads, and
/// "expected_" of them: free of the luck of clicks and reading; click_bait: share of impressions
/// with the mark. Source: DMTL paper, sec. 3.2; methods E3. Throws ConfigError, DataError,
/// Interrupted.
FeedTestResult run_feed_test(const FeedTestRecipe& recipe);

/// See docs/abtest.md.
Json to_json(const FeedTestResult& result);
std::string table(const FeedTestResult& result);

}  // namespace retort
