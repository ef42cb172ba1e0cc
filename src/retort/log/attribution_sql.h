// The SQL of the attribution: plain joins and sums over three views, without anything that another
// engine would not run. Used by attribution.cc alone.
#pragma once

#include <string>
#include <vector>

#include "retort/log/attribution.h"

namespace retort {

/// Moments as SQL: literals, or names to be replaced.
struct AttributionMoments {
  std::string log_end, train_end, test_start;
};

struct SqlStep {
  std::string note;  // what it does, in words
  std::string sql;   // without a semicolon
};

/// Makes `first_playback` and `discovery` from the views
///   playback(playback_id, viewer, program, began, milliseconds, began_in, imp)
///   impression(imp, viewer, program, shown_at, shown_in, ..)
///   collection(collection_id, kind).
std::vector<SqlStep> discovery_steps();

/// Makes `dwm` and, from it, `attributed`, whose columns `columns` of the view impression (such as
/// "i.position, ") are followed by clicked and seconds.
std::vector<SqlStep> dwm_steps(const AttributionOptions& options, const AttributionMoments& moments,
                               const std::string& columns);

}  // namespace retort
