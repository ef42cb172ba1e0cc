#include "retort/log/attribution.h"

#include <algorithm>
#include <array>

#include "retort/common/error.h"
#include "retort/common/progress.h"
#include "retort/common/text.h"
#include "retort/log/attribution_sql.h"
#include "retort/log/event_query.h"
#include "retort/log/events.h"

namespace retort {
namespace {

constexpr const char* kPlaybacks = "attribution_playbacks";  // in rejects.source

/// A table [attribution.NAME]: its source and the columns it names, all needed.
void read_source(const Json& recipe, const std::string& name, SourceOptions& source,
                 const std::vector<std::pair<const char*, std::string*>>& keys) {
  Fields fields(recipe, "attribution." + name);
  source = read_source_options(fields);
  for (const auto& [key, value] : keys) {
    fields.read(key, *value);
    if (value->empty())
      fail<ConfigError>("{} is missing: a column's name or an expression", fields.name(key));
  }
  fields.finish();
}

/// A key that two logs share, brought to one type where they differ.
struct SharedKey {
  Expression a, b;
  SharedKey(Expression first, Expression second) : a(std::move(first)), b(std::move(second)) {
    const bool differ = a.type != b.type;
    for (Expression* one : {&a, &b})
      if (differ || one->type == "VARCHAR") one->sql = text_sql(one->sql, one->type);
  }
};

std::string timestamp_sql(const Expression& raw, const std::string& key) {
  if (raw.type == "TIMESTAMP") return raw.sql;
  return "make_timestamp(" + moment_sql(raw.sql, raw.type, key) + ')';
}

/// Opens the sources, makes the views and tables one after another.
class Attributor {
 public:
  Attributor(DuckDb& db, const AttributionOptions& options, const fs::path& from)
      : db_(db),
        options_(options),
        playbacks_(open_source(db, options.playbacks.source, from, kPlaybacks)),
        impressions_(open_source(db, options.impressions.source, from, "attribution_impressions")),
        collections_(open_source(db, options.collections.source, from, "attribution_collections")) {
  }

  AttributionMade run(const SplitOptions& split, double max_rejected) {
    make_views();
    check_playbacks(max_rejected);
    check_collections();
    for (const SqlStep& step : discovery_steps()) db_.run(step.sql, "attribution");
    check_discoveries();
    AttributionMade made;
    made.log_end = moment("SELECT epoch_us(max(began)) + 1 FROM playback");
    AttributionMoments sql{literal(made.log_end), {}, {}};
    if (options_.cut == "strict") {
      made.moments = split_moments(split, moment("SELECT epoch_us(max(shown_at)) FROM discovery"));
      sql.train_end = literal(made.moments->valid_from);
      sql.test_start = literal(made.moments->test_from);
    }
    Progress progress("attribute playbacks", 100, "%");
    for (const SqlStep& step : dwm_steps(options_, sql, columns_))
      db_.run(step.sql, "attribution", &progress);
    db_.run("DROP TABLE first_playback; DROP TABLE discovery; DROP TABLE dwm");
    made.rows = moment("SELECT count(*) FROM attributed");
    made.discoveries = moment("SELECT count(*) FROM attributed WHERE clicked");
    made.unknown = moment("SELECT count(*) FROM attributed WHERE seconds IS NULL");
    return made;
  }

 private:
  Expression in_playbacks(const std::string& text, const char* key) {
    return resolve(db_, playbacks_, text, std::string("attribution.playbacks.") + key);
  }
  Expression in_impressions(const std::string& text, const char* key) {
    return resolve(db_, impressions_, text, std::string("attribution.impressions.") + key);
  }
  Expression in_collections(const std::string& text, const char* key) {
    return resolve(db_, collections_, text, std::string("attribution.collections.") + key);
  }

  void make_views() {
    const auto& p = options_.playbacks;
    const auto& i = options_.impressions;
    const auto& c = options_.collections;
    const SharedKey user(in_playbacks(p.user, "user"), in_impressions(i.user, "user"));
    const SharedKey item(in_playbacks(p.item, "item"), in_impressions(i.item, "item"));
    const SharedKey shown(in_playbacks(p.impression, "impression"), in_impressions(i.id, "id"));
    const auto text = [](const Expression& raw) { return text_sql(raw.sql, raw.type); };
    const Expression began = in_playbacks(p.time, "time");
    const Expression minutes = in_playbacks(p.minutes, "minutes");
    db_.run(fmt::format(
        "CREATE VIEW playback_row AS SELECT *, CASE WHEN viewer IS NULL THEN 'user_missing' WHEN "
        "program IS NULL THEN 'item_missing' WHEN began IS NULL THEN 'time_unparsable' WHEN "
        "minutes IS NULL THEN 'minutes_missing' WHEN isnan(minutes) OR abs(minutes) > 1e12 THEN "
        "'minutes_not_finite' WHEN minutes < 0 THEN 'minutes_negative' END AS reason FROM (SELECT "
        "retort_file AS file, CAST(retort_row AS BIGINT) AS row, {} AS playback_id, {} AS viewer, "
        "{} AS program, {} AS began, {} AS minutes, CAST({} AS VARCHAR) AS raw, {} AS began_in, {} "
        "AS imp FROM {})",
        in_playbacks(p.id, "id").sql, user.a.sql, item.a.sql,
        timestamp_sql(began, "attribution.playbacks.time"), number_sql(minutes.sql, minutes.type),
        minutes.sql, text(in_playbacks(p.collection, "collection")), shown.a.sql,
        playbacks_.relation));
    db_.run(
        "CREATE VIEW playback AS SELECT playback_id, viewer, program, began, CAST(round(60000 * "
        "minutes) AS BIGINT) AS milliseconds, began_in, imp FROM playback_row WHERE reason IS "
        "NULL");
    db_.run(fmt::format(
        "CREATE VIEW impression AS SELECT {} AS imp, {} AS viewer, {} AS program, {} AS shown_at, "
        "{} AS shown_in{} FROM {}",
        shown.b.sql, user.b.sql, item.b.sql,
        timestamp_sql(in_impressions(i.time, "time"), "attribution.impressions.time"),
        text(in_impressions(i.collection, "collection")), other_columns(), impressions_.relation));
    db_.run(
        fmt::format("CREATE TABLE collection AS SELECT {} AS collection_id, CAST({} AS "
                    "VARCHAR) AS kind FROM {}",
                    text(in_collections(c.id, "id")), in_collections(c.kind, "kind").sql,
                    collections_.relation));
  }

  /// ", a, b" for the view; "i.a, i.b," for the result. Labels of the log give way to those made
  /// here.
  std::string other_columns() {
    constexpr std::array<std::string_view, 5> kOwn{"imp", "viewer", "program", "shown_at",
                                                   "shown_in"};
    std::string columns;
    for (const auto& [name, type] : impressions_.columns) {
      if (name == "clicked" || name == "seconds") continue;
      if (std::find(kOwn.begin(), kOwn.end(), name) != kOwn.end())
        fail<ConfigError>(
            "{}: the attribution has a column '{}' of its own; rename that of the log by sql = "
            "\"SELECT * RENAME ({} AS other) FROM ..\"",
            impressions_.label, name, name);
      columns += ", " + sql_name(name);
      columns_ += (columns_.empty() ? "i." : " i.") + sql_name(name) + ',';
    }
    return columns;
  }

  void check_playbacks(double max_rejected) {
    const int64_t rejected = moment("SELECT count(*) FROM playback_row WHERE reason IS NOT NULL");
    if (rejected > 0)
      add_rejects(db_, playbacks_,
                  "SELECT file, row, reason, CASE WHEN starts_with(reason, 'minutes') THEN raw END "
                  "AS value FROM playback_row WHERE reason IS NOT NULL");
    int64_t rows = moment("SELECT count(*) FROM playback");
    if (rows == 0) fail<DataError>("{}: there is not one good row of data", playbacks_.label);
    for (const auto& [reason, count] : count_rejects(db_, kPlaybacks)) rows += count;
    check_rejects(db_, kPlaybacks, rows, max_rejected);
  }

  void check_collections() {
    if (const auto twice = db_.query_text(
            "SELECT CAST(collection_id AS VARCHAR) FROM collection GROUP BY 1 HAVING count(*) > 1 "
            "ORDER BY 1 LIMIT 1"))
      fail<DataError>("{}: the collection '{}' stands there twice", collections_.label, *twice);
    if (moment("SELECT count(*) FROM collection WHERE kind = 'unfamiliar'") == 0)
      fail<DataError>("{}: no collection is of kind 'unfamiliar'", collections_.label);
  }

  void check_discoveries() {
    if (const auto twice = db_.query_text(
            "SELECT CAST(imp AS VARCHAR) FROM discovery GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 "
            "LIMIT 1"))
      fail<DataError>("{}: the impression '{}' stands there twice", impressions_.label, *twice);
    if (moment("SELECT count(*) FROM discovery") == 0)
      fail<DataError>(
          "{}: no first playback began from an impression of {} in an unfamiliar collection",
          playbacks_.label, impressions_.label);
  }

  int64_t moment(const std::string& sql) { return db_.query_integer(sql).value_or(0); }
  static std::string literal(int64_t microseconds) {
    return fmt::format("make_timestamp({})", microseconds);
  }

  DuckDb& db_;
  const AttributionOptions& options_;
  Scan playbacks_, impressions_, collections_;
  std::string columns_;  // of the result
};

std::string source_text(const SourceOptions& source) {
  const std::string from = source.sql.empty() ? sql_string(source.path) : '(' + source.sql + ')';
  return from + (source.where.empty() ? "" : "\nWHERE " + source.where);
}

}  // namespace

std::optional<AttributionOptions> read_attribution(const Json& recipe, const SplitOptions& split) {
  if (!recipe.contains("attribution")) return std::nullopt;
  AttributionOptions options;
  Fields fields(recipe, "attribution");
  fields.read("days", options.days);
  fields.read_choice("censor", options.censor, {"drop", "partial"});
  fields.read_choice("cut", options.cut, {"strict", "paper"});
  for (const char* table : {"playbacks", "impressions", "collections"}) fields.sub(table);
  fields.finish();
  if (options.days < 1 || options.days > 3650)
    fail<ConfigError>("{}: {} days; write 1 to 3650", fields.name("days"), options.days);
  if (options.cut == "strict" && split.kind != "time")
    fail<ConfigError>(
        "{}: \"strict\" cuts the logs at the test's begin, which a split of kind \"{}\" has not; "
        "write \"paper\" or split by time",
        fields.name("cut"), split.kind);
  auto& p = options.playbacks;
  read_source(recipe, "playbacks", p.source,
              {{"id", &p.id},
               {"user", &p.user},
               {"item", &p.item},
               {"time", &p.time},
               {"minutes", &p.minutes},
               {"collection", &p.collection},
               {"impression", &p.impression}});
  auto& i = options.impressions;
  read_source(recipe, "impressions", i.source,
              {{"id", &i.id},
               {"user", &i.user},
               {"item", &i.item},
               {"time", &i.time},
               {"collection", &i.collection}});
  auto& c = options.collections;
  read_source(recipe, "collections", c.source, {{"id", &c.id}, {"kind", &c.kind}});
  return options;
}

AttributionMade attribute(DuckDb& db, const AttributionOptions& options, const SplitOptions& split,
                          const fs::path& from, double max_rejected) {
  return Attributor(db, options, from).run(split, max_rejected);
}

std::string attribution_text(const AttributionOptions& options,
                             const std::vector<std::string>& columns) {
  const std::string kept = columns.empty() ? "*" : fmt::format("{}", fmt::join(columns, ", "));
  const std::string result =
      columns.empty() ? "i.*," : fmt::format("i.{},", fmt::join(columns, ", i."));
  const auto& p = options.playbacks;
  const auto& i = options.impressions;
  const auto& c = options.collections;
  std::vector<SqlStep> steps{
      {"What was watched.",
       fmt::format("CREATE VIEW playback AS\nSELECT {} AS playback_id, {} AS viewer, {} AS "
                   "program, {} AS began,\n       CAST(round(60000 * {}) AS BIGINT) AS "
                   "milliseconds, {} AS began_in, {} AS imp\nFROM {}",
                   p.id, p.user, p.item, p.time, p.minutes, p.collection, p.impression,
                   source_text(p.source))},
      {"What was shown.",
       fmt::format("CREATE VIEW impression AS\nSELECT {} AS imp, {} AS viewer, {} AS program, {} "
                   "AS shown_at, {} AS shown_in,\n       {}\nFROM {}",
                   i.id, i.user, i.item, i.time, i.collection, kept, source_text(i.source))},
      {"Where it was shown.",
       fmt::format("CREATE VIEW collection AS\nSELECT {} AS collection_id, {} AS kind\nFROM {}",
                   c.id, c.kind, source_text(c.source))}};
  for (const SqlStep& step : discovery_steps()) steps.push_back(step);
  const AttributionMoments names{":log_end", ":train_end", ":test_start"};
  for (const SqlStep& step : dwm_steps(options, names, result)) steps.push_back(step);
  std::string text = "-- :log_end     just after the last playback of the log\n";
  if (options.cut == "strict")
    text +=
        "-- :train_end   the beginning of validation\n"
        "-- :test_start  the beginning of the test: labels of training rows see nothing behind "
        "it\n";
  for (const SqlStep& step : steps) {
    std::string note = step.note;
    for (size_t at = 0; (at = note.find('\n', at)) != std::string::npos; at += 4)
      note.replace(at, 1, "\n-- ");
    text += "\n-- " + note + '\n' + step.sql + ";\n";
  }
  return text;
}

}  // namespace retort
