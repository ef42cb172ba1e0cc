#include "retort/log/streams.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "retort/common/error.h"
#include "retort/common/progress.h"
#include "retort/log/event_query.h"

namespace retort {
namespace {

StreamSource read_stream(const Json& entry, size_t index) {
  const std::string number = std::to_string(index + 1);
  Fields fields(Json{{"streams", {{number, entry}}}}, "streams." + number);
  StreamSource stream;
  fields.read("name", stream.name);
  stream.events.source = read_source_options(fields);
  const std::pair<const char*, std::string*> keys[] = {{"user", &stream.events.user},
                                                       {"item", &stream.events.item},
                                                       {"time", &stream.events.time},
                                                       {"seconds", &stream.events.seconds}};
  for (const auto& [key, value] : keys) fields.read(key, *value);
  fields.finish();
  const bool good_name = !stream.name.empty() &&
                         std::all_of(stream.name.begin(), stream.name.end(), [](unsigned char c) {
                           return std::isalnum(c) != 0 || c == '_' || c == '-';
                         });
  if (!good_name)
    fail<ConfigError>("{}: '{}' is no name; write letters, digits, '_' and '-'",
                      fields.name("name"), stream.name);
  for (const auto& [key, value] : keys)
    if (value->empty() && std::string_view(key) != "seconds")
      fail<ConfigError>("{} is missing: a column's name or an expression", fields.name(key));
  return stream;
}

/// The rows of the scope's kept log before those of the source.
std::string kept_rows(const StreamSource& stream, const WholeKeys& whole, const LogScope& scope) {
  if (scope.kept.empty()) return {};
  const auto type_of = [](bool number) { return number ? "BIGINT" : "VARCHAR"; };
  return fmt::format(
      "SELECT CAST(\"user\" AS {}) AS \"user\", CAST(item AS {}) AS item, time, seconds, false AS "
      "rejected FROM read_parquet({}) UNION ALL ",
      type_of(whole.user), type_of(whole.item),
      sql_string(kept_stream(scope.kept, stream.name).string()));
}

/// What stands in rejects.source: no other stream's begins so.
std::string reject_name(size_t index) { return fmt::format("streams_{:04}", index + 1); }

}  // namespace

std::vector<StreamSource> read_stream_sources(const Json& recipe) {
  std::vector<StreamSource> streams;
  const auto entries = recipe.find("streams");
  if (entries == recipe.end()) return streams;
  if (!entries->is_array())
    fail<ConfigError>("recipe key 'streams': write [[streams]] tables with name, path, user, ..");
  std::set<std::string> names;
  for (size_t i = 0; i < entries->size(); ++i) {
    streams.push_back(read_stream((*entries)[i], i));
    if (!names.insert(streams.back().name).second)
      fail<ConfigError>("recipe key 'streams': the name '{}' occurs twice", streams.back().name);
  }
  return streams;
}

StreamReader::StreamReader(DuckDb& db, const std::vector<StreamSource>& sources,
                           const fs::path& from)
    : db_(db), sources_(sources) {
  for (size_t i = 0; i < sources_.size(); ++i) {
    const StreamSource& stream = sources_[i];
    scans_.push_back(open_source(db, stream.events.source, from, reject_name(i)));
    const WholeKeys own = whole_keys(db, scans_.back(), stream.events, "streams." + stream.name);
    whole_ = {whole_.user && own.user, whole_.item && own.item};
  }
}

std::vector<EventCounts> StreamReader::read(const WholeKeys& whole, double max_rejected,
                                            const LogScope& scope) {
  std::vector<EventCounts> all;
  for (size_t i = 0; i < sources_.size(); ++i) {
    const StreamSource& stream = sources_[i];
    const std::string table = sql_name(stream.table());
    const std::string query = rows_of_days(
        event_query(db_, scans_[i], stream.events, {}, whole, "streams." + stream.name), scope);
    Progress progress("read stream " + stream.name, 100, "%");
    db_.run(fmt::format("CREATE TABLE {} AS {}SELECT \"user\", item, time, seconds, reason IS NOT "
                        "NULL AS rejected FROM ({})",
                        table, kept_rows(stream, whole, scope), query),
            scans_[i].label, &progress);
    const int64_t before =
        scope.kept.empty()
            ? 0
            : db_.query_integer(
                     fmt::format("SELECT count(*) FROM read_parquet({})",
                                 sql_string(kept_stream(scope.kept, stream.name).string())))
                  .value_or(0);
    if (db_.query_integer("SELECT 1 FROM " + table + " WHERE rejected LIMIT 1"))
      add_rejects(
          db_, scans_[i],
          fmt::format("SELECT file, row, reason, value FROM ({}) WHERE reason IS NOT NULL", query));
    EventCounts counts;
    counts.kept =
        db_.query_integer("SELECT count(*) FROM " + table + " WHERE NOT rejected").value_or(0) -
        before;
    counts.rejected = count_rejects(db_, reject_name(i));
    counts.rows_read = counts.kept;
    for (const auto& [reason, count] : counts.rejected) counts.rows_read += count;
    check_rejects(db_, reject_name(i), counts.rows_read, max_rejected);
    all.push_back(counts);
  }
  return all;
}

}  // namespace retort
