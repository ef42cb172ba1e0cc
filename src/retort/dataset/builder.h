// Ingest: reads the logs that a data recipe names and writes a dataset folder, which appears whole
// or not at all. docs/recipes.md describes the recipe, docs/dataset-format.md the folder.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "retort/common/file.h"
#include "retort/common/json.h"
#include "retort/log/events.h"

namespace retort {

struct IngestOptions {
  fs::path from;                   // where the recipe's paths start; empty: RETORT_DATA, else "."
  fs::path out;                    // the dataset folder; must not exist, but with `append`
  std::optional<uint64_t> seed{};  // of the protocol's frozen negatives, instead of the recipe's
  std::optional<DayRange> days{};  // only the events (and those of streams) of these days
  bool keep_log = false;           // so that days can be added later; also [ingest] keep_log
  /// A dataset that keeps its log, to which the sources add days; it gives way to the new one
  /// where `out` is empty or the same.
  fs::path append{};
  bool allow_gap = false;  // days without data between its end and the first one added
};

struct IngestResult {
  fs::path dataset;
  int64_t rows_read = 0;  // rows_read == kept + the sum of `rejected`
  int64_t kept = 0;
  std::map<std::string, int64_t> rejected;  // by reason
  /// Rows of the feature tables "users" and "items" and of the playbacks of an attribution that
  /// were left out, by reason.
  std::map<std::string, std::map<std::string, int64_t>> table_rejected;
  /// Of each stream, by name: as for the events.
  std::map<std::string, EventCounts> streams;
  std::optional<DayRange> days, days_added;  // of the events, where they have a time
  int64_t users = 0, items = 0, clicks = 0, impressions = 0;
  std::map<std::string, int64_t> clicks_of_split;  // train, valid, test, history
  std::string read_rule;                           // "none", "median", "seconds"
  std::optional<double> read_threshold;            // nullopt for "none"
  int64_t reads = 0;
  Json split;        // as in the manifest: kind, valid_from, test_from, excludes, cannot_exclude
  Json attribution;  // as in the manifest; null without one
  double seconds = 0;
};

/// Throws ConfigError on a wrong recipe, DataError on bad data or too many rejects, IoError,
/// Interrupted; then no dataset folder exists.
IngestResult ingest(const Json& recipe, const IngestOptions& options);

/// The SQL of the recipe's [attribution], to read or to run elsewhere. Throws ConfigError on a
/// wrong recipe or one without it.
std::string attribution_sql(const Json& recipe);

/// {"rows_read", "kept", "rejected": {REASON: n}, ...}
Json to_json(const IngestResult& result);
/// The same for people, several lines.
std::string describe(const IngestResult& result);

}  // namespace retort
