// Which events train, validate and test: by moments, by each user's last events, by a column or
// by source; and the plain words for what each of these cannot exclude.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "retort/log/events.h"

namespace retort {

/// The recipe's [split].
struct SplitOptions {
  std::string kind = "time";  // time | user_share | user_last | column | source
  std::string test = "1d";    // time: a duration before the end of the log, or a moment
  std::string valid = "1d";   // time: a duration before the test, or a moment
  bool whole_days = false;    // time: the log ends with the day (UTC) of its last click
  double test_share = 0.1;    // user_share: of each user's events, the last
  double valid_share = 0.1;   // user_share: the ones before
};
/// Throws ConfigError on values that do not fit the kind, or a kind that does not fit the sources.
SplitOptions read_split_options(const Json& recipe, const std::vector<EventSource>& sources);

/// Where the parts of a split by time begin, microseconds since 1970.
struct SplitMoments {
  int64_t valid_from = 0, test_from = 0;
};
/// The moments of a log whose last click is at `last_click`. Throws ConfigError.
SplitMoments split_moments(const SplitOptions& options, int64_t last_click);

/// The split as the manifest states it.
struct SplitMade {
  std::string kind;
  std::optional<int64_t> valid_from, test_from;  // kind "time": microseconds
  std::string excludes, cannot_exclude;
};

/// Makes the table or view `clicks` from the table `ordered` (user, item, time, fixed split, ..,
/// sorted by user, time and order in the log): all its columns, `position` (0, 1, ..) and `split`
/// (0 train, 1 valid, 2 test, 3 history), in the same order. Rows whose source or column fixed a
/// split keep it: `fixed` is there with has_splits. Without time, the kinds without moments only.
/// `moments`: of kind "time", where they are known already.
SplitMade split_clicks(DuckDb& db, const SplitOptions& options, const Events& events,
                       const std::optional<SplitMoments>& moments = {});

}  // namespace retort
