// What the simulated platform knows at the start of a day, from its log alone: the ranker fitted on
// the days before, what everybody has played, what was clicked and released.
#pragma once

#include <cstdint>
#include <vector>

#include "retort/common/file.h"
#include "retort/sim/live_ranker.h"
#include "retort/sim/long_video_oracle.h"

namespace retort {

/// U users and I shows, by their numbers in the world.
struct LoggedPast {
  int32_t day = 0;
  int64_t midnight = 0;                      // the day's begin, microseconds since 1970
  LiveRanker ranker;                         // as it was live on the day (methods E4)
  std::vector<std::vector<int32_t>> played;  // [U] shows in the order of their first playback
  std::vector<int32_t> clicks;               // [I] in the trailing window before the day
  std::vector<int64_t> released;             // [I] microseconds since 1970
  /// [U] minutes that shows played before the day bring in the seven days after the user's opening
  /// on it, in every arm alike; 0 for who does not open.
  std::vector<double> other_minutes;

  bool has_played(int32_t user, int32_t item) const;
};

/// `oracle` gives the numbers of keys and the moments of openings, and nothing of tastes. Throws
/// ConfigError unless 1 <= day and the log holds the seven days after it; DataError naming the file
/// that is missing or does not fit.
LoggedPast read_logged_past(const fs::path& world, const LongVideoOracle& oracle, int32_t day,
                            int64_t trailing);

}  // namespace retort
