// Discovery-induced watching minutes (DWM): what a viewer watches of a show within some days of the
// playback that began from an impression in an unfamiliar collection. Turns the logs of playbacks,
// impressions and collections into one event source, the table `attributed`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "retort/log/source.h"
#include "retort/log/split.h"

namespace retort {

/// The recipe's [attribution] with its three sources; see docs/recipes.md. Columns are names or SQL
/// expressions.
struct AttributionOptions {
  struct Playbacks {
    SourceOptions source;
    std::string id;  // settles the order of playbacks at one moment; "" = the order of the log
    std::string user, item, time, minutes, collection, impression;
  } playbacks;
  struct Impressions {
    SourceOptions source;  // its `where` says which type and rows are wanted
    std::string id, user, item, time, collection;
  } impressions;
  struct Collections {
    SourceOptions source;
    std::string id, kind;  // kind: 'unfamiliar', or anything else
  } collections;
  int64_t days = 7;             // of the window, half-open from the discovering playback
  std::string censor = "drop";  // drop: no seconds where the window is not closed | partial
  /// strict: labels of training rows come from logs cut at the beginning of the test | paper: all
  /// labels come from the full logs.
  std::string cut = "strict";
};

/// nullopt without [attribution]. Throws ConfigError on wrong keys, and for cut "strict" without a
/// split by time.
std::optional<AttributionOptions> read_attribution(const Json& recipe, const SplitOptions& split);

/// What the attribution found.
struct AttributionMade {
  int64_t log_end = 0;                  // microsecond after the last playback
  std::optional<SplitMoments> moments;  // cut "strict": the split that the labels are true to
  int64_t rows = 0;                     // of the table `attributed`
  int64_t discoveries = 0;              // of them clicked
  int64_t unknown = 0;                  // of them without seconds
};

/// Makes the table `attributed`: the impressions of unfamiliar collections, ordered by (time, id),
/// with their own columns and
///   clicked  BOOLEAN: the viewer's first playback of the show began from this impression
///   seconds  DOUBLE: 60 DWM of a clicked row, 0 of others, NULL outside the terms that learn from
///   it
/// All viewing in [t0, t0 + days) counts, in any collection, clipped at the window's end; a pair
/// whose first playback came from elsewhere (search, a familiar collection) has none, ever. With
/// censor "drop" seconds are NULL by date, clicked or not: where t0 + days (unclicked: the
/// impression's time + days) lies behind the end of the log that the row may know.
/// Fills `rejects` (source "attribution_playbacks") with playbacks without user, item, time or
/// minutes; throws DataError when their share is above `max_rejected`.
/// Source: RRA section 4.1.
AttributionMade attribute(DuckDb& db, const AttributionOptions& options, const SplitOptions& split,
                          const fs::path& from, double max_rejected);

/// The same as SQL to read or to run on another engine, with `:log_end`, `:train_end` (the
/// beginning of validation) and `:test_start` for the moments. `columns` of the impressions are
/// kept beside the labels; empty: all, which must then have none called clicked or seconds.
std::string attribution_text(const AttributionOptions& options,
                             const std::vector<std::string>& columns);

}  // namespace retort
