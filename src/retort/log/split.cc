#include "retort/log/split.h"

#include <algorithm>
#include <cctype>

#include "retort/common/error.h"
#include "retort/common/text.h"

namespace retort {
namespace {

constexpr const char* kTables =
    " Feature tables of users and items carry no time: their values may have been recorded after "
    "the training period.";

bool is_duration(const std::string& text) {
  return text.size() >= 2 && std::isalpha(static_cast<unsigned char>(text.back())) != 0 &&
         text.find('-') == std::string::npos;
}

/// A moment, or a duration before `end`.
int64_t boundary(const std::string& text, int64_t end, const char* key) {
  return is_duration(text) ? end - parse_duration(text, key) : parse_moment(text, key);
}

SplitMade by_moments(DuckDb& db, const SplitOptions& options, const std::string& fixed,
                     const std::optional<SplitMoments>& known) {
  const int64_t last =
      db.query_integer(fmt::format("SELECT max(time) FROM ordered WHERE {} IS NULL", fixed))
          .value_or(-1);
  const SplitMoments moments = known ? *known : split_moments(options, last);
  SplitMade made{"time", moments.valid_from, moments.test_from, {}, {}};
  db.run(
      fmt::format("CREATE VIEW clicks AS SELECT *, rowid AS position, CAST(coalesce({}, CASE "
                  "WHEN time >= {} THEN 2 WHEN time >= {} THEN 1 ELSE 0 END) AS UTINYINT) AS "
                  "split FROM ordered",
                  fixed, *made.test_from, *made.valid_from));
  made.excludes =
      "training rows precede validation rows, which precede test rows, in time; vocabularies, "
      "standardisation, the read threshold and popularity come from training rows";
  made.cannot_exclude = std::string("users and items are common to the three parts.") + kTables;
  return made;
}

/// The last events of each user; `test` and `valid` are SQL for their numbers out of n.
SplitMade by_user(DuckDb& db, const std::string& kind, const std::string& test,
                  const std::string& valid, const std::string& fixed) {
  db.run(fmt::format(
      "CREATE TABLE bounds AS SELECT u, max(CASE WHEN rank = n - tests THEN position END) AS "
      "test_from, max(CASE WHEN rank = n - tests - valids THEN position END) AS valid_from FROM "
      "(SELECT *, {} AS valids FROM (SELECT *, {} AS tests FROM (SELECT \"user\" AS u, rowid AS "
      "position, row_number() OVER (PARTITION BY \"user\" ORDER BY rowid) - 1 AS rank, count(*) "
      "OVER (PARTITION BY \"user\") AS n FROM ordered WHERE {} IS NULL))) GROUP BY u",
      valid, test, fixed));
  db.run(fmt::format(
      "CREATE TABLE clicks AS SELECT o.*, o.rowid AS position, CAST(coalesce({}, CASE WHEN "
      "o.rowid >= b.test_from THEN 2 WHEN o.rowid >= b.valid_from THEN 1 ELSE 0 END) AS UTINYINT) "
      "AS split FROM ordered o LEFT JOIN bounds b ON b.u = o.\"user\" ORDER BY o.rowid;"
      "DROP TABLE bounds",
      fixed));
  SplitMade made{kind, {}, {}, {}, {}};
  made.excludes =
      "a user's training events precede his own validation and test events; vocabularies, "
      "standardisation, the read threshold and popularity come from training rows";
  made.cannot_exclude =
      std::string(
          "LEAKS ACROSS USERS: while one user's test event happens, other users' later "
          "events are training rows, so that item ids and popularity know the future; "
          "figures are not comparable with those of a split by time.") +
      kTables;
  return made;
}

SplitMade as_given(DuckDb& db, const std::string& kind, const std::string& fixed) {
  if (const auto open =
          db.query_integer(fmt::format("SELECT count(*) FROM ordered WHERE {} IS NULL", fixed));
      open.value_or(0) > 0)
    fail<DataError>(
        "split kind \"{}\": {} clicks have no split; give their source a role or a "
        "split column",
        kind, *open);
  db.run(fmt::format("CREATE VIEW clicks AS SELECT *, rowid AS position, {} AS split FROM ordered",
                     fixed));
  SplitMade made{kind, {}, {}, {}, {}};
  made.excludes =
      "vocabularies, standardisation, the read threshold and popularity come from the rows that "
      "the log marks as training";
  made.cannot_exclude =
      std::string(
          "the parts are as the log gives them; training rows may be later than test "
          "rows.") +
      kTables;
  return made;
}

}  // namespace

SplitOptions read_split_options(const Json& recipe, const std::vector<EventSource>& sources) {
  SplitOptions options;
  Fields fields(recipe, "split");
  fields.read_choice("kind", options.kind, {"time", "user_share", "user_last", "column", "source"});
  if (options.kind == "user_share") {
    fields.read("test", options.test_share);
    fields.read("valid", options.valid_share);
    if (!(options.test_share > 0 && options.valid_share >= 0 &&
          options.test_share + options.valid_share < 1))
      fail<ConfigError>("{}: shares {} and valid {} leave nothing to train on; write 0.1",
                        fields.name("test"), options.test_share, options.valid_share);
  } else if (options.kind == "time") {
    fields.read("test", options.test);
    fields.read("valid", options.valid);
    fields.read("whole_days", options.whole_days);
  } else {
    fields.sub("test");
    fields.sub("valid");
  }
  fields.finish();
  for (const EventSource& source : sources)
    if ((options.kind == "source" && source.role == "all") ||
        (options.kind == "column" && source.split.empty() && source.role == "all"))
      fail<ConfigError>("{}: \"{}\" needs a {} in every [[events]] entry", fields.name("kind"),
                        options.kind,
                        options.kind == "source" ? "role" : "split column (or a role)");
  return options;
}

SplitMoments split_moments(const SplitOptions& options, int64_t last_click) {
  int64_t end = last_click + 1;
  if (options.whole_days) end = (last_click / kDay + 1) * kDay;
  SplitMoments moments;
  moments.test_from = boundary(options.test, end, "recipe key 'split.test'");
  moments.valid_from = boundary(options.valid, moments.test_from, "recipe key 'split.valid'");
  if (moments.valid_from > moments.test_from)
    fail<ConfigError>("recipe key 'split.valid': {} lies after the test's begin {}",
                      format_moment(moments.valid_from), format_moment(moments.test_from));
  return moments;
}

SplitMade split_clicks(DuckDb& db, const SplitOptions& options, const Events& events,
                       const std::optional<SplitMoments>& moments) {
  const std::string fixed = events.has_splits ? "fixed" : "CAST(NULL AS UTINYINT)";
  if (options.kind == "time" && !events.has_time)
    fail<ConfigError>(
        "recipe key 'split.kind': \"time\" needs a time in the log; choose "
        "user_share, user_last, column or source");
  if (options.kind == "time") return by_moments(db, options, fixed, moments);
  if (options.kind == "user_share")
    return by_user(db, options.kind,
                   fmt::format("CAST(round(n * {}) AS BIGINT)", options.test_share),
                   fmt::format("CAST(round(n * {}) AS BIGINT)", options.valid_share), fixed);
  if (options.kind == "user_last")
    return by_user(db, options.kind, "1", "CASE WHEN n >= 3 THEN 1 ELSE 0 END", fixed);
  return as_given(db, options.kind, fixed);
}

}  // namespace retort
