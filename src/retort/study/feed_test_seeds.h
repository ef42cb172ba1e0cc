// Tests of several worlds, or of models of several seeds, summed up: what one world cannot say.
#pragma once

#include <string>
#include <vector>

#include "retort/common/file.h"
#include "retort/common/json.h"

namespace retort {

/// Reads abtest.json of two or more finished tests of a feed with the same arms and rankers:
///   {"tests": [..], "rankers": {RANKER: {
///     "models": {ARM: {METRIC: {"value": mean, "deviation", "seeds": [..]}}},
///     "differences": [{"metric", "arm", "value", "low", "high", "seeds", "verdict", "published",
///                      "claim"}],
///     "order": [{"below", "arm", ...the same of expected_seconds}]}}}
/// Differences are relative to the first arm of the same test, with 95% by Student's t over the
/// tests; metrics: expected_seconds, expected_ctr, expected_reads, click_bait. Throws ConfigError
/// for fewer than two tests, DataError naming the file that is missing, no test of a feed, or not
/// of these arms.
Json sum_up_feed_tests(const std::vector<fs::path>& tests);
std::string feed_seeds_table(const Json& summary);

}  // namespace retort
