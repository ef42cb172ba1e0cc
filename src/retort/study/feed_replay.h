// One day of the simulated feed with other candidates: slates by a common ranker, and what the
// readers do with them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "retort/sim/live_ranker.h"
#include "retort/sim/oracle.h"
#include "retort/study/feed_test_recipe.h"
#include "retort/study/impression_log.h"
#include "retort/study/off_policy.h"

namespace retort {

/// The common ranker: LiveRanker over users, items and the items' category bits, of everything that
/// was logged in [from, until), a day of forgetting before each day. Clicks are weighed by the
/// slots' examination 1 / log2(position + 1). Rows of keys without a number are left out.
LiveRanker fit_feed_ranker(ImpressionLog& log, int64_t from, int64_t until, const KeyNumbers& users,
                           const KeyNumbers& items);

/// What the ranker expects of an examined slot: clicks, and clicks times seconds.
double expected_clicks(const LiveRanker& ranker, int32_t user, int32_t item);
double expected_reading(const LiveRanker& ranker, int32_t user, int32_t item);

/// The first `slots` of the candidates as the ranker orders them, ties in their own order.
std::vector<int32_t> rank_candidates(const LiveRanker& fitted, FeedRanker ranker, int32_t user,
                                     std::vector<int32_t> candidates, int32_t slots);

/// What one user does with all slates of the day. The expected ones are those of the slates, with
/// p = examination(position) p_click of every slot: sums of p, p E[seconds | click], p P(read |
/// click).
struct FeedOutcome {
  double shown = 0, click_bait = 0;
  double clicks = 0, seconds = 0, reads = 0;
  double expected_clicks = 0, expected_seconds = 0, expected_reads = 0;
};

/// `requests` times the same slate (items by number, best first; -1 = none): the luck of slot
/// s of request r is that of (user, item, day, r * slots + s), the log's own.
FeedOutcome replay_feed(const Oracle& oracle, int32_t user, int32_t day, int64_t requests,
                        std::span<const int32_t> slate, double read_seconds);

}  // namespace retort
