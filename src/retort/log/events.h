// Maps every source of a recipe to one table of events, rejects what no event can be made of, and
// counts: rows read = rows kept + rows rejected. Used by dataset/builder.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "retort/log/days.h"
#include "retort/log/source.h"

namespace retort {

/// One [[events]] entry of a data recipe; see docs/recipes.md for the keys.
struct EventSource {
  SourceOptions source;
  std::string layout = "rows";                     // rows | lists | impressions
  std::string role = "all";                        // all | history | train | valid | test
  std::string user, item, time, clicked, seconds;  // columns or SQL expressions, "" = absent
  std::string request, in_view, clicks, split;
  /// What the ranking model that was live gave the row: scores = {click, dwm, snapshot}.
  std::string score_click, score_dwm, snapshot;
  /// What else is known of an event, yes or no: labels = {share = "shared", ..}.
  std::map<std::string, std::string> labels;
  bool scored() const { return !score_click.empty(); }
};
/// Whether a text can be the name of a label or of a task: a small letter, then small letters,
/// digits and _.
bool is_label_name(std::string_view name);
/// Throws ConfigError on unknown keys, on keys that do not go with the layout and on labels whose
/// names are taken.
std::vector<EventSource> read_event_sources(const Json& recipe);

/// A column that a feature needs, typed: of the event (kept as c0, c1, .. of the table `events`)
/// or of a feature table.
struct ContextColumn {
  enum class Kind { kText, kTexts, kNumber, kNumbers, kFlag };  // kFlag: 1, 0 or NULL
  std::string feature;                                          // for messages
  std::string key{};       // of the recipe; "" = features.FEATURE.column
  std::string expression;  // absent in a source: NULL there, but one source must have it
  Kind kind = Kind::kText;
  std::string separator;  // kTexts from a text column
  int32_t width = 1;      // kNumbers: values a row
};

struct EventCounts {
  int64_t rows_read = 0;
  int64_t kept = 0;
  std::map<std::string, int64_t> rejected;  // by reason
};

/// Which keys are whole numbers of up to 64 bits, which are kept as BIGINT: cheaper than texts.
struct WholeKeys {
  bool user = true, item = true;
};

/// Which rows of the sources count, and what came before them.
struct LogScope {
  std::optional<DayRange> days;  // rows of other moments are not there
  fs::path kept;                 // a dataset's folder whose kept log comes first; empty: nothing
};
/// The files of a kept log: Parquet of the good rows of the tables `events` and stream_NAME, with
/// their columns and in their order.
fs::path kept_events(const fs::path& dataset);
fs::path kept_stream(const fs::path& dataset, const std::string& stream);

/// What is known of the table `events`.
struct Events {
  EventCounts counts;
  int64_t kept_before = 0;  // its first rows, of the scope's kept log; not among the counts
  WholeKeys whole;          // how user and item are kept
  bool has_time = false;
  bool has_seconds = false;
  bool has_impressions = false;  // some rows were shown and not clicked
  bool has_requests = false;     // rows are of impressions with a number or a place in them
  bool has_splits = false;       // some rows have a split of their own
};

/// Makes the table
///   events(user, item, time, seconds, c0.., rejected [, clicked, request, position] [, split])
/// in the order of the log (its rowid), and fills `rejects`. user and item are BIGINT where every
/// source has whole numbers and `whole` allows it, else VARCHAR; the columns in brackets are there
/// with has_requests and has_splits. time: microseconds since 1970 (UTC), 0 without time; split: 0
/// train .. 3 history, NULL where the split is decided by moments. Numbers are seconds,
/// milliseconds, microseconds or nanoseconds by magnitude; text is a number or ISO 8601. Throws
/// DataError when more than `max_rejected` of the rows read are rejects, or when a scope's days
/// have no row.
Events map_events(DuckDb& db, const std::vector<EventSource>& sources,
                  const std::vector<ContextColumn>& context, const fs::path& from,
                  double max_rejected, const WholeKeys& whole = {}, const LogScope& scope = {});

/// Rejects of one source (or of all whose name begins so) by reason.
std::map<std::string, int64_t> count_rejects(DuckDb& db, const std::string& source_prefix);
/// Throws DataError with counts and first examples when the share is above `max_rejected`.
void check_rejects(DuckDb& db, const std::string& source_prefix, int64_t rows_read,
                   double max_rejected);

}  // namespace retort
