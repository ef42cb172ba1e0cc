// One simulated day of a block of users: who opens the feed, what the policy shows them, what they
// click and how long they read, as text rows and as sums.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "retort/sim/policy.h"
#include "retort/sim/truth.h"
#include "retort/sim/world.h"

namespace retort {

/// What is counted while the log is written.
struct LogTally {
  int64_t requests = 0, impressions = 0;
  double expected_clicks = 0;  // sum of examination * sigma(eta) over the impressions
  std::vector<float> seconds;  // of every click
  int64_t shares = 0, follows = 0, dismissals = 0;
  void add(const LogTally& other);
};

/// One block's part of a day. Rows are CSV lines of the columns of impressions.parquet, with the
/// time in microseconds since 1970.
struct BlockLog {
  std::string rows;
  LogTally tally;
  std::vector<double> item_mass;  // [alive]
};

/// Simulates users [begin, end) of the policy's day and sets their entries of `masses`
/// (normaliser and user).
void simulate_block(const World& world, const PolicyDay& policy, int64_t begin, int64_t end,
                    BlockLog& log, Masses& masses);

/// The moments at which the user opens the feed on the day, ascending: the world's own law,
/// whatever the policy. Slot s of request r has the key r * slots + s in all draws of what happens.
std::vector<int64_t> request_times(const World& world, int32_t user, int32_t day);

/// Poisson(mean) of a uniform draw a part: means above 100 are summed from parts.
int64_t poisson(const Rng& rng, double mean);

}  // namespace retort
