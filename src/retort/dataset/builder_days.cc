#include "retort/dataset/builder_days.h"

#include <algorithm>

#include "retort/common/error.h"
#include "retort/common/text.h"

namespace retort {
namespace {

std::string kept_entities(const fs::path& dataset, const std::string& table) {
  return (dataset / ("log." + table + ".parquet")).string();
}

void copy_to(DuckDb& db, const std::string& query, const std::string& file) {
  db.run(fmt::format("COPY ({}) TO {} (FORMAT parquet, COMPRESSION zstd)", query, sql_string(file)),
         file);
}

/// Names of the labels that a recipe's events have.
std::vector<std::string> labels_of(const Json& recipe) {
  std::vector<std::string> labels;
  for (const Json& source : recipe.at("events"))
    if (const auto found = source.find("labels"); found != source.end())
      for (const auto& [name, column] : found->items()) labels.push_back(name);
  std::ranges::sort(labels);
  labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
  return labels;
}

void check_same(const fs::path& folder, const char* what, const Json& was, const Json& is) {
  if (was == is) return;
  const Json patch = Json::diff(was, is).at(0);
  fail<ConfigError>(
      "{}: the recipe's {} are others than those the dataset was made with (first difference: {} "
      "{}); add days with the recipe of the first ingest, or ingest the whole log anew",
      folder.string(), what, patch.at("op").get<std::string>(),
      patch.at("path").get<std::string>());
}

}  // namespace

DatasetBefore open_before(const fs::path& folder, const Json& recipe) {
  DatasetBefore before{.folder = folder, .manifest = read_manifest(folder), .schema = {}};
  if (before.manifest.value("kind", "") != "dataset")
    fail<DataError>("{}: is no dataset", folder.string());
  if (!before.manifest.contains("log"))
    fail<DataError>(
        "{}: the dataset keeps no log, so that no day can be added; ingest it once more with "
        "--keep-log",
        folder.string());
  const Json& made_with = before.manifest.at("recipe");
  check_same(folder, "features", made_with.value("features", Json()),
             recipe.value("features", Json()));
  check_same(folder, "labels", labels_of(made_with), labels_of(recipe));
  before.schema = schema_from_json(before.manifest.at("schema"));
  return before;
}

std::optional<LogDays> find_days(DuckDb& db, const Events& events, const DatasetBefore* before,
                                 bool allow_gap) {
  if (!events.has_time) {
    if (before == nullptr) return std::nullopt;
    fail<DataError>("{}: its events have no time, so that there are no days to add",
                    before->folder.string());
  }
  std::vector<std::pair<int64_t, int64_t>> old_days, new_days;  // day, events
  db.query(fmt::format("SELECT time // {0} AS day, count(*) FILTER (rowid < {1}), count(*) FILTER "
                       "(rowid >= {1}) FROM events WHERE NOT rejected GROUP BY 1 ORDER BY 1",
                       kDay, events.kept_before),
           [&](const ResultChunk& chunk) {
             for (int64_t row = 0; row < chunk.rows(); ++row) {
               const int64_t day = chunk.integer(0, row) * kDay;
               if (chunk.integer(1, row) > 0) old_days.emplace_back(day, chunk.integer(1, row));
               if (chunk.integer(2, row) > 0) new_days.emplace_back(day, chunk.integer(2, row));
             }
           });
  if (new_days.empty()) fail<DataError>("the log has no event to add");
  LogDays days;
  days.added = {new_days.front().first, new_days.back().first + kDay};
  days.all = days.added;
  for (const auto& [day, count] : new_days) days.events_added += count;
  if (before == nullptr) return days;
  const std::string folder = before->folder.string();
  for (const auto& [day, count] : new_days) {
    const auto same = std::ranges::find(old_days, day, &std::pair<int64_t, int64_t>::first);
    if (same != old_days.end())
      fail<DataError>(
          "{}: {} is there already ({} events, {} more would be added twice); choose another day "
          "with --days, or ingest the whole log anew",
          folder, format_day(day), with_thousands(same->second), with_thousands(count));
  }
  const int64_t end = old_days.back().first + kDay;
  if (days.added.from < end)
    fail<DataError>(
        "{}: {} is before the end of the log ({}); days are added in order, a late one needs the "
        "whole log ingested anew",
        folder, format_day(days.added.from), format_day(end - kDay));
  if (days.added.from > end && !allow_gap)
    fail<DataError>(
        "{}: the log ends with {}, and {} has no data; add it first, or say --allow-gap if there "
        "was none",
        folder, format_day(end - kDay), format_days({end, days.added.from}));
  days.all.from = old_days.front().first;
  return days;
}

void keep_events(DuckDb& db, const std::vector<StreamSource>& streams, const fs::path& folder) {
  copy_to(db, "SELECT * EXCLUDE (rejected) FROM events WHERE NOT rejected",
          kept_events(folder).string());
  for (const StreamSource& stream : streams)
    copy_to(db,
            fmt::format("SELECT * EXCLUDE (rejected) FROM {} WHERE NOT rejected",
                        sql_name(stream.table())),
            kept_stream(folder, stream.name).string());
}

void keep_entities(DuckDb& db, const EntityTable& table, const fs::path& folder) {
  copy_to(db, fmt::format("SELECT * EXCLUDE (logged) FROM {} ORDER BY id", table.name),
          kept_entities(folder, table.name));
}

void restore_entities(DuckDb& db, const EntityTable& table, const DatasetBefore& before) {
  const std::string kept = sql_string(kept_entities(before.folder, table.name));
  db.run(fmt::format("CREATE TABLE {}_before AS SELECT id, key FROM read_parquet({})", table.name,
                     kept));
  const Json filters = before.manifest.at("log").at("filters").at(table.name);
  if (filters != Json(table.filters))
    fail<ConfigError>(
        "{}: the columns of the table [{}] that filters can use are {} now and were {}; name them "
        "with {}.filters",
        before.folder.string(), table.name, Json(table.filters).dump(), filters.dump(), table.name);
  const bool has_table =
      db.query_integer(
            fmt::format("SELECT 1 FROM duckdb_tables() WHERE table_name = '{}_table'", table.name))
          .has_value();
  if (!has_table) return;
  db.run(
      fmt::format("INSERT INTO {0}_table BY NAME SELECT * EXCLUDE (id) FROM read_parquet({1}) "
                  "WHERE key NOT IN (SELECT key FROM {0}_table WHERE reason IS NULL)",
                  table.name, kept));
}

void keep_transforms(const DatasetBefore& before, std::vector<FeatureEntry>& entries) {
  for (FeatureEntry& entry : entries)
    for (FeatureSpec& spec : entry.specs)
      for (const FeatureSpec& was : before.schema.features)
        if (was.name == spec.name && was.side == spec.side) spec.transform = was.transform;
}

Json lineage_after(const DatasetBefore& before) {
  Json lineage = before.manifest.value("lineage", Json::array());
  const Json& days = before.manifest.at("log").at("days");
  const Json& counts = before.manifest.at("counts");
  const auto valid_from = before.manifest.at("split").find("valid_from");
  lineage.push_back(
      {{"sha256", sha256_file(before.folder / "manifest.json")},
       {"users", counts.at("users")},
       {"items", counts.at("items")},
       {"trained_until", valid_from == before.manifest.at("split").end()
                             ? Json(parse_days(days.get<std::string>(), "manifest").until)
                             : *valid_from},
       {"days", days}});
  return lineage;
}

}  // namespace retort
