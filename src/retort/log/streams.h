// Named logs of user events beside the clicks: what was watched, liked, shown. Read like events,
// kept for the past that features look at. Used by dataset/builder.
#pragma once

#include <string>
#include <vector>

#include "retort/log/events.h"

namespace retort {

/// One [[streams]] entry of a data recipe; see docs/recipes.md.
struct StreamSource {
  std::string name;
  EventSource events;  // layout "rows": source, user, item, time, seconds ("" = none)
  std::string table() const { return "stream_" + name; }
};
/// Throws ConfigError on unknown keys, missing ones and names that occur twice.
std::vector<StreamSource> read_stream_sources(const Json& recipe);

/// The streams of a recipe, opened: their keys must be known before those of the events are kept.
class StreamReader {
 public:
  StreamReader(DuckDb& db, const std::vector<StreamSource>& sources, const fs::path& from);
  /// Which keys are whole numbers in every stream.
  WholeKeys whole() const { return whole_; }
  /// Makes the tables stream_NAME(user, item, time, seconds) in the order of the log, keys kept as
  /// those of the events, and fills `rejects`. Counts come in the order of the sources, without
  /// the rows of the scope's kept log. Throws DataError when more than `max_rejected` of the rows
  /// read are rejects.
  std::vector<EventCounts> read(const WholeKeys& whole, double max_rejected,
                                const LogScope& scope = {});

 private:
  DuckDb& db_;
  const std::vector<StreamSource>& sources_;
  std::vector<Scan> scans_;
  WholeKeys whole_;
};

}  // namespace retort
