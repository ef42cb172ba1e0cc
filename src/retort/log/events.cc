#include "retort/log/events.h"

#include <algorithm>
#include <array>

#include "retort/common/error.h"
#include "retort/common/progress.h"
#include "retort/common/text.h"
#include "retort/log/event_query.h"

namespace retort {
namespace {

/// scores = {click = "..", dwm = "..", snapshot = ".."}
void read_scores(const Json& entry, const std::string& key, EventSource& event) {
  Fields fields(entry, "scores");
  fields.read("click", event.score_click);
  fields.read("dwm", event.score_dwm);
  fields.read("snapshot", event.snapshot);
  fields.finish();
  if (event.score_click.empty() || event.score_dwm.empty() || event.snapshot.empty())
    fail<ConfigError>("{}: give click, dwm and snapshot, each a column of the logged model", key);
}

/// labels = {share = "shared", ..}: names become parts of the names of columns, logits and weights.
void read_labels(const Json& labels, const Fields& fields, EventSource& event) {
  constexpr std::array kTaken{"shown", "click", "read", "seconds", "known", "reward"};
  if (labels.is_null()) return;
  if (!labels.is_object())
    fail<ConfigError>("{}: a table is expected, {{ share = \"shared\" }}, not {}",
                      fields.name("labels"), labels.dump());
  for (const auto& [name, column] : labels.items()) {
    const std::string key = fields.name("labels." + name);
    if (!is_label_name(name))
      fail<ConfigError>("{}: the name must be a small letter and then small letters, digits and _",
                        key);
    if (std::ranges::find(kTaken, name) != kTaken.end())
      fail<ConfigError>("{}: the name is taken; every log has {}", key, fmt::join(kTaken, ", "));
    if (!column.is_string() || column.get<std::string>().empty())
      fail<ConfigError>("{} = {}: a column or an SQL expression is expected", key, column.dump());
    event.labels[name] = column.get<std::string>();
  }
  if (event.layout == "impressions")
    fail<ConfigError>(
        "{} does not go with layout \"impressions\", whose rows are whole impressions; write a row "
        "an article (layout \"rows\", or sql)",
        fields.name("labels"));
}

EventSource read_event_source(const Json& entry, size_t index) {
  const std::string number = std::to_string(index + 1);
  Fields fields(Json{{"events", {{number, entry}}}}, "events." + number);
  EventSource event;
  event.source = read_source_options(fields, /*may_attribute=*/true);
  fields.read_choice("layout", event.layout, {"rows", "lists", "impressions"});
  fields.read_choice("role", event.role, {"all", "history", "train", "valid", "test"});
  const std::pair<const char*, std::string*> keys[] = {
      {"user", &event.user},       {"item", &event.item},       {"time", &event.time},
      {"clicked", &event.clicked}, {"seconds", &event.seconds}, {"request", &event.request},
      {"in_view", &event.in_view}, {"clicks", &event.clicks},   {"split", &event.split}};
  for (const auto& [key, value] : keys) fields.read(key, *value);
  if (fields.has("scores")) read_scores(entry, fields.name("scores"), event);
  fields.sub("scores");
  read_labels(fields.sub("labels"), fields, event);
  fields.finish();
  const bool impressions = event.layout == "impressions";
  const auto need = [&](const char* key, const std::string& value) {
    if (value.empty())
      fail<ConfigError>("{} is missing: layout \"{}\" needs it", fields.name(key), event.layout);
  };
  const auto refuse = [&](const char* key, const std::string& value) {
    if (!value.empty())
      fail<ConfigError>("{} does not go with layout \"{}\"", fields.name(key), event.layout);
  };
  need("user", event.user);
  if (impressions) {
    need("in_view", event.in_view);
    need("clicks", event.clicks);
    refuse("item", event.item);
    refuse("clicked", event.clicked);
  } else {
    need("item", event.item);
    refuse("in_view", event.in_view);
    refuse("clicks", event.clicks);
  }
  return event;
}

bool all_or_none(const std::vector<EventSource>& sources) {
  const auto with_time = std::count_if(sources.begin(), sources.end(),
                                       [](const EventSource& s) { return !s.time.empty(); });
  if (with_time != 0 && with_time != static_cast<int64_t>(sources.size()))
    fail<ConfigError>(
        "recipe key 'events.time': {} of {} sources have a time; give it to all or "
        "to none",
        with_time, sources.size());
  return with_time > 0;
}

/// A context column must exist in one source at least; then its own error is the right message.
void check_context(DuckDb& db, const std::vector<Scan>& scans,
                   const std::vector<ContextColumn>& context) {
  for (const ContextColumn& column : context) {
    bool found = false;
    std::string message;
    for (const Scan& scan : scans) {
      try {
        resolve(db, scan, column.expression,
                column.key.empty() ? "features." + column.feature + ".column" : column.key);
        found = true;
      } catch (const DataError& error) {
        if (message.empty()) message = error.what();
      }
    }
    if (!found) throw DataError(message);
  }
}

std::string table_definition(const std::vector<ContextColumn>& context, const WholeKeys& whole,
                             const Events& events) {
  const auto type_of = [](bool number) { return number ? "BIGINT" : "VARCHAR"; };
  std::string sql =
      fmt::format("CREATE TABLE events (\"user\" {}, item {}, time BIGINT, seconds FLOAT",
                  type_of(whole.user), type_of(whole.item));
  for (size_t i = 0; i < context.size(); ++i) {
    const char* type = "VARCHAR";
    if (context[i].kind == ContextColumn::Kind::kTexts) type = "VARCHAR[]";
    if (context[i].kind == ContextColumn::Kind::kNumber) type = "DOUBLE";
    if (context[i].kind == ContextColumn::Kind::kFlag) type = "UTINYINT";
    if (context[i].kind == ContextColumn::Kind::kNumbers) type = "DOUBLE[]";
    sql += fmt::format(", c{} {}", i, type);
  }
  sql += ", rejected BOOLEAN";
  if (events.has_requests) sql += ", clicked BOOLEAN, request VARCHAR, position INTEGER";
  if (events.has_splits) sql += ", split UTINYINT";
  return sql + ')';
}

/// Columns of the table `events` as the query of a source has them.
std::string table_columns(size_t context, const Events& events) {
  std::string sql = "\"user\", item, time, seconds";
  for (size_t i = 0; i < context; ++i) sql += fmt::format(", c{}", i);
  sql += ", reason IS NOT NULL";
  if (events.has_requests) sql += ", clicked, request, position";
  if (events.has_splits) sql += ", split";
  return sql;
}

/// What the sources will give, and how their keys are kept.
WholeKeys look_at_sources(DuckDb& db, const std::vector<EventSource>& sources,
                          const std::vector<Scan>& scans, WholeKeys whole, Events& events) {
  for (size_t i = 0; i < sources.size(); ++i) {
    const EventSource& source = sources[i];
    const WholeKeys own = whole_keys(db, scans[i], source, fmt::format("events.{}", i + 1));
    whole = {whole.user && own.user, whole.item && own.item};
    events.has_seconds = events.has_seconds || !source.seconds.empty();
    events.has_impressions =
        events.has_impressions || !source.clicked.empty() || source.layout == "impressions";
    events.has_requests = events.has_requests || events.has_impressions || !source.request.empty();
    events.has_splits = events.has_splits || !source.split.empty() || source.role != "all";
  }
  return whole;
}

/// The kept log's rows are the first of the table, whose columns are wide enough for both.
std::string kept_rows(const fs::path& dataset) {
  return fmt::format("read_parquet({})", sql_string(kept_events(dataset).string()));
}
void look_at_kept(DuckDb& db, const fs::path& dataset, WholeKeys& whole, Events& events) {
  for (const auto& [name, type] : db.describe("SELECT * FROM " + kept_rows(dataset))) {
    if (name == "user") whole.user = type == "BIGINT";
    if (name == "item") whole.item = type == "BIGINT";
    if (name == "request") events.has_requests = true;
    if (name == "split") events.has_splits = true;
  }
}
void insert_kept(DuckDb& db, const fs::path& dataset, Events& events) {
  db.run("INSERT INTO events BY NAME SELECT *, false AS rejected FROM " + kept_rows(dataset));
  if (events.has_requests) db.run("UPDATE events SET clicked = true WHERE clicked IS NULL");
  events.kept_before = db.query_integer("SELECT count(*) FROM events").value_or(0);
}

}  // namespace

fs::path kept_events(const fs::path& dataset) { return dataset / "log.events.parquet"; }
fs::path kept_stream(const fs::path& dataset, const std::string& stream) {
  return dataset / ("log.stream_" + stream + ".parquet");
}

bool is_label_name(std::string_view name) {
  const auto small = [](char c) { return c >= 'a' && c <= 'z'; };
  return !name.empty() && small(name[0]) && std::ranges::all_of(name, [&](char c) {
    return small(c) || (c >= '0' && c <= '9') || c == '_';
  });
}

std::vector<EventSource> read_event_sources(const Json& recipe) {
  const auto entries = recipe.find("events");
  if (entries == recipe.end() || !entries->is_array() || entries->empty())
    fail<ConfigError>(
        "the recipe names no log: write an [[events]] table with path, user and item");
  std::vector<EventSource> sources;
  for (size_t i = 0; i < entries->size(); ++i)
    sources.push_back(read_event_source((*entries)[i], i));
  return sources;
}

std::map<std::string, int64_t> count_rejects(DuckDb& db, const std::string& source_prefix) {
  std::map<std::string, int64_t> counts;
  db.query(fmt::format("SELECT reason, count(*) FROM rejects WHERE starts_with(source, {}) GROUP "
                       "BY reason",
                       sql_string(source_prefix)),
           [&](const ResultChunk& chunk) {
             for (int64_t row = 0; row < chunk.rows(); ++row)
               counts[std::string(chunk.text(0, row))] = chunk.integer(1, row);
           });
  return counts;
}

void check_rejects(DuckDb& db, const std::string& source_prefix, int64_t rows_read,
                   double max_rejected) {
  int64_t rejected = 0;
  std::string reasons;
  for (const auto& [reason, count] : count_rejects(db, source_prefix)) {
    rejected += count;
    reasons += fmt::format("{}{} {}", reasons.empty() ? "" : ", ", reason, with_thousands(count));
  }
  if (static_cast<double>(rejected) <= max_rejected * static_cast<double>(rows_read)) return;
  std::string examples;
  db.query(fmt::format("SELECT file, row, reason, coalesce(value, '') FROM rejects WHERE "
                       "starts_with(source, {}) ORDER BY reason, file, row LIMIT 5",
                       sql_string(source_prefix)),
           [&](const ResultChunk& chunk) {
             for (int64_t row = 0; row < chunk.rows(); ++row)
               examples += fmt::format(
                   "\n  {} row {}: {}{}", chunk.text(0, row), chunk.integer(1, row),
                   chunk.text(2, row),
                   chunk.text(3, row).empty() ? "" : fmt::format(" '{}'", chunk.text(3, row)));
           });
  fail<DataError>(
      "{} of {} rows are rejected ({}), more than ingest.max_rejected = {}; no dataset was "
      "written. Examples:{}",
      with_thousands(rejected), with_thousands(rows_read), reasons, max_rejected, examples);
}

Events map_events(DuckDb& db, const std::vector<EventSource>& sources,
                  const std::vector<ContextColumn>& context, const fs::path& from,
                  double max_rejected, const WholeKeys& allowed, const LogScope& scope) {
  Events events;
  WholeKeys may_be_whole = allowed;
  events.has_time = all_or_none(sources);
  if (scope.days && !events.has_time)
    fail<ConfigError>("days {} cannot be told apart: the recipe's events have no time",
                      format_days(*scope.days));
  if (!scope.kept.empty()) look_at_kept(db, scope.kept, may_be_whole, events);
  std::vector<Scan> scans;
  for (size_t i = 0; i < sources.size(); ++i)
    scans.push_back(open_source(db, sources[i].source, from, fmt::format("events_{}", i + 1)));
  check_context(db, scans, context);
  may_be_whole = {may_be_whole.user && allowed.user, may_be_whole.item && allowed.item};
  events.whole = look_at_sources(db, sources, scans, may_be_whole, events);
  const WholeKeys& whole = events.whole;
  db.run(table_definition(context, whole, events));
  if (!scope.kept.empty()) insert_kept(db, scope.kept, events);
  for (size_t i = 0; i < sources.size(); ++i) {
    Progress progress(fmt::format("read {}", scans[i].label), 100, "%");
    const int64_t before = db.query_integer("SELECT count(*) FROM events").value_or(0);
    const std::string query = rows_of_days(
        event_query(db, scans[i], sources[i], context, whole, fmt::format("events.{}", i + 1)),
        scope);
    db.run(fmt::format("INSERT INTO events SELECT {} FROM ({})",
                       table_columns(context.size(), events), query),
           scans[i].label, &progress);
    // Rejects are few: their place and value are worth a second look, not a column of the table.
    if (db.query_integer(
            fmt::format("SELECT 1 FROM events WHERE rejected AND rowid >= {} LIMIT 1", before)))
      add_rejects(
          db, scans[i],
          fmt::format("SELECT file, row, reason, value FROM ({}) WHERE reason IS NOT NULL", query));
    const bool may_be_empty = scope.days || sources[i].role == "history";
    if (!may_be_empty && db.query_integer("SELECT count(*) FROM events").value_or(0) == before &&
        !db.query_integer("SELECT 1 FROM rejects WHERE source = " + sql_string(scans[i].name)))
      fail<DataError>("{}: there is not one row of data", scans[i].label);
    if (scans[i].staged) db.run("DROP TABLE " + sql_name(scans[i].name + "_files"));
  }
  events.counts.kept =
      db.query_integer("SELECT count(*) FROM events WHERE NOT rejected").value_or(0) -
      events.kept_before;
  events.counts.rejected = count_rejects(db, "events");
  events.counts.rows_read = events.counts.kept;
  for (const auto& [reason, count] : events.counts.rejected) events.counts.rows_read += count;
  check_rejects(db, "events", events.counts.rows_read, max_rejected);
  if (scope.days && events.counts.kept == 0)
    fail<DataError>("{}: no event of {}{}", scans.front().label, format_days(*scope.days),
                    events.counts.rows_read > 0 ? " that could be kept; see the rejects" : "");
  return events;
}

}  // namespace retort
