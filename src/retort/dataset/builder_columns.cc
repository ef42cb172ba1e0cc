#include "retort/dataset/builder_columns.h"

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "retort/common/error.h"
#include "retort/common/progress.h"

namespace retort {
namespace {

constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();

float float_of(const ResultChunk& chunk, int column, int64_t row) {
  return chunk.is_null(column, row) ? kUnknown : static_cast<float>(chunk.number(column, row));
}

bool is_read(float seconds, const std::optional<double>& threshold) {
  return !threshold || static_cast<double>(seconds) > *threshold;  // false for NaN
}

/// SQL for an impression's number: its own if all are whole numbers, else by first appearance.
std::string number_requests(DuckDb& db, const Events& events) {
  if (!events.has_requests) return "CAST(-1 AS BIGINT)";
  const auto counts = db.query_integer("SELECT count(request) FROM events WHERE NOT rejected");
  if (counts.value_or(0) == 0) return "CAST(-1 AS BIGINT)";
  const auto texts = db.query_integer(
      "SELECT count(*) FROM events WHERE NOT rejected AND request IS NOT NULL AND "
      "coalesce(TRY_CAST(request AS BIGINT), -1) < 0");
  if (texts.value_or(0) == 0) return "coalesce(TRY_CAST(e.request AS BIGINT), -1)";
  db.run(
      "CREATE TABLE requests AS SELECT request, row_number() OVER (ORDER BY first) - 1 AS number "
      "FROM (SELECT request, min(rowid) AS first FROM events WHERE NOT rejected AND request IS "
      "NOT NULL GROUP BY request)");
  return "coalesce(q.number, -1)";
}

bool has_requests_table(DuckDb& db) {
  return db.query_integer("SELECT 1 FROM duckdb_tables() WHERE table_name = 'requests'")
      .has_value();
}

/// Events with the numbers of their users, items and requests.
std::string numbered_events(DuckDb& db, const std::string& columns) {
  return fmt::format(
      "SELECT {} FROM events e JOIN users u ON u.logged = e.\"user\" JOIN items i ON "
      "i.logged = e.item {}",
      columns, has_requests_table(db) ? "LEFT JOIN requests q ON q.request = e.request" : "");
}

/// The labels' columns "STEM.label_NAME": 1, 0, or kUnknownLabel.
struct LabelWriters {
  std::vector<ColumnWriter<uint8_t>> columns;
  LabelWriters(const fs::path& folder, const std::string& stem, const DataRecipe& recipe) {
    for (const std::string& name : recipe.labels)
      columns.emplace_back(folder, fmt::format("{}.label_{}", stem, name));
  }
  /// Their values stand in the chunk from column `first` on.
  void push(const ResultChunk& chunk, int first, int64_t row) {
    for (size_t i = 0; i < columns.size(); ++i) {
      const int at = first + static_cast<int>(i);
      columns[i].push(chunk.is_null(at, row) ? kUnknownLabel
                                             : static_cast<uint8_t>(chunk.integer(at, row)));
    }
  }
  void close() {
    for (ColumnWriter<uint8_t>& column : columns) column.close();
  }
};

/// ", PREFIXc3, PREFIXc4": `count` columns of the events from number `first` on.
std::string event_columns(const char* prefix, int first, int count) {
  std::string sql;
  for (int i = first; i < first + count; ++i) sql += fmt::format(", {}c{}", prefix, i);
  return sql;
}

/// The columns of a click as they are written.
struct ClickWriters {
  ColumnWriter<int32_t> user, item;
  ColumnWriter<int64_t> time, request;
  ColumnWriter<float> seconds;
  ColumnWriter<uint8_t> read, split;
  explicit ClickWriters(const fs::path& folder)
      : user(folder, "clicks.user"),
        item(folder, "clicks.item"),
        time(folder, "clicks.time"),
        request(folder, "clicks.request"),
        seconds(folder, "clicks.seconds"),
        read(folder, "clicks.read"),
        split(folder, "clicks.split") {}
  void close() {
    user.close();
    item.close();
    time.close();
    request.close();
    seconds.close();
    read.close();
    split.close();
  }
};

}  // namespace

void order_clicks(DuckDb& db, const DataRecipe& recipe, const Events& events) {
  std::string columns = "u.id AS \"user\", i.id AS item, e.time, e.seconds";
  if (events.has_splits) columns += ", e.split AS fixed";
  if (events.has_requests) columns += fmt::format(", {} AS request", number_requests(db, events));
  if (events.has_impressions) columns += ", e.rowid AS ordinal";
  const int context = recipe.scores >= 0 ? recipe.scores : static_cast<int>(recipe.context.size());
  for (int i = 0; i < context; ++i) columns += fmt::format(", e.c{0} AS c{0}", i);
  Progress progress("sort clicks", 100, "%");
  db.run(fmt::format("CREATE TABLE ordered AS {} WHERE NOT e.rejected{} ORDER BY u.id, e.time, "
                     "e.rowid",
                     numbered_events(db, columns), events.has_impressions ? " AND e.clicked" : ""),
         "clicks", &progress);
  if (db.query_integer("SELECT count(*) FROM ordered").value_or(0) == 0)
    fail<DataError>("the log holds no clicks: every row has clicked = 0");
}

std::optional<double> find_threshold(DuckDb& db, const DataRecipe& recipe) {
  if (recipe.read_rule == "none") return std::nullopt;
  if (recipe.read_rule == "seconds") return recipe.read_threshold;
  const std::string known = " FROM clicks WHERE split = 0 AND seconds IS NOT NULL";
  const int64_t count = db.query_integer("SELECT count(*)" + known).value_or(0);
  if (count == 0)
    fail<ConfigError>(
        "recipe key 'read.threshold': no training click has seconds, so there is no "
        "median; write a number of seconds or \"none\"");
  const int64_t low = (count - 1) / 2, high = count / 2;
  double low_value = 0, high_value = 0;
  int64_t before = 0;
  db.query("SELECT CAST(seconds AS DOUBLE), count(*)" + known + " GROUP BY 1 ORDER BY 1",
           [&](const ResultChunk& chunk) {
             for (int64_t row = 0; row < chunk.rows(); ++row) {
               const int64_t next = before + chunk.integer(1, row);
               if (before <= low && low < next) low_value = chunk.number(0, row);
               if (before <= high && high < next) high_value = chunk.number(0, row);
               before = next;
             }
           });
  return (low_value + high_value) / 2;
}

TrainingClicks write_clicks(DuckDb& db, const DataRecipe& recipe, const fs::path& folder,
                            bool has_requests, IngestResult& result) {
  ClickWriters out(folder);
  LabelWriters labels(folder, "clicks", recipe);
  const int first_label = has_requests ? 7 : 6;
  std::vector<int64_t> begin(static_cast<size_t>(result.users) + 1, 0);
  TrainingClicks trained{std::vector<int64_t>(static_cast<size_t>(result.users), 0),
                         std::vector<int64_t>(static_cast<size_t>(result.items), 0)};
  std::vector<int64_t> first(static_cast<size_t>(result.items), INT64_MAX);
  std::array<int64_t, 4> of_split{};
  int64_t position = 0, last_time = 0;
  int32_t last_user = 0;
  Progress progress("write clicks", result.clicks, "clicks");
  const auto write_chunk = [&](const ResultChunk& chunk) {
    const auto positions = chunk.values<int64_t>(0), times = chunk.values<int64_t>(3);
    const auto users = chunk.values<int32_t>(1), items = chunk.values<int32_t>(2);
    const auto splits = chunk.values<uint8_t>(5);
    for (size_t row = 0; row < users.size(); ++row) {
      const int32_t user = users[row], item = items[row];
      const int64_t time = times[row];
      const float seconds = float_of(chunk, 4, static_cast<int64_t>(row));
      const bool read = is_read(seconds, result.read_threshold);
      check(positions[row] == position && user >= last_user &&
                (user > last_user || time >= last_time || position == 0),
            "ingest: click {} came out of order", position);
      out.user.push(user);
      out.item.push(item);
      out.time.push(time);
      out.seconds.push(seconds);
      out.split.push(splits[row]);
      out.read.push(read ? 1 : 0);
      out.request.push(has_requests ? chunk.integer(6, static_cast<int64_t>(row)) : -1);
      labels.push(chunk, first_label, static_cast<int64_t>(row));
      ++begin[static_cast<size_t>(user) + 1];
      trained.of_user[static_cast<size_t>(user)] += splits[row] == 0 ? 1 : 0;
      trained.of_item[static_cast<size_t>(item)] += splits[row] == 0 ? 1 : 0;
      first[static_cast<size_t>(item)] = std::min(first[static_cast<size_t>(item)], time);
      ++of_split[splits[row]];
      result.reads += read ? 1 : 0;
      last_user = user;
      last_time = time;
      ++position;
    }
    progress.update(position);
  };
  db.query(
      fmt::format("SELECT position, \"user\", item, time, seconds, split{}{} FROM clicks",
                  has_requests ? ", request" : "",
                  event_columns("", recipe.first_label, static_cast<int>(recipe.labels.size()))),
      write_chunk);
  check(position == result.clicks, "ingest: {} of {} clicks were written", position, result.clicks);
  out.close();
  labels.close();
  for (size_t split = 0; split < of_split.size(); ++split)
    if (of_split[split] > 0)
      result.clicks_of_split[std::string(name_of(static_cast<Split>(split)))] = of_split[split];
  for (size_t user = 0; user + 1 < begin.size(); ++user) begin[user + 1] += begin[user];
  write_column<int64_t>(folder, "users.clicks_begin", begin);
  write_column<int64_t>(folder, "items.train_clicks", trained.of_item);
  write_column<int64_t>(folder, "items.first_click", first);
  return trained;
}

namespace {

/// SQL for the split of a shown article that was not clicked: by moments, else by where it falls
/// among the user's own clicks.
std::string shown_split(const SplitMade& split, bool has_time) {
  if (split.kind == "time")
    return fmt::format("CASE WHEN e.time >= {} THEN 2 WHEN e.time >= {} THEN 1 ELSE 0 END",
                       *split.test_from, *split.valid_from);
  const char* moment = has_time ? "e.time" : "e.rowid";
  return fmt::format(
      "CASE WHEN {0} >= b.test_from THEN 2 WHEN {0} >= b.valid_from THEN 1 ELSE 0 END", moment);
}

struct ImpressionWriters {
  ColumnWriter<int64_t> request, time, position, click;
  ColumnWriter<int32_t> user, item;
  ColumnWriter<uint8_t> clicked, split;
  ColumnWriter<float> seconds;
  LabelWriters labels;
  ImpressionWriters(const fs::path& folder, const DataRecipe& recipe)
      : request(folder, "impressions.request"),
        time(folder, "impressions.time"),
        position(folder, "impressions.position"),
        click(folder, "impressions.click"),
        user(folder, "impressions.user"),
        item(folder, "impressions.item"),
        clicked(folder, "impressions.clicked"),
        split(folder, "impressions.split"),
        seconds(folder, "impressions.seconds"),
        labels(folder, "impressions", recipe) {
    if (recipe.scores >= 0) scores.emplace(folder);
  }
  /// What a live model gave the rows; only in logs that have it.
  struct Scores {
    ColumnWriter<float> click, dwm;
    ColumnWriter<int32_t> snapshot;
    explicit Scores(const fs::path& folder)
        : click(folder, "impressions.score_click"),
          dwm(folder, "impressions.score_dwm"),
          snapshot(folder, "impressions.snapshot") {}
  };
  std::optional<Scores> scores;

  void push(const ResultChunk& chunk, int64_t row) {
    user.push(static_cast<int32_t>(chunk.integer(0, row)));
    item.push(static_cast<int32_t>(chunk.integer(1, row)));
    time.push(chunk.integer(2, row));
    request.push(chunk.integer(3, row));
    position.push(chunk.integer(4, row));
    clicked.push(chunk.boolean(5, row) ? 1 : 0);
    click.push(chunk.integer(6, row));
    seconds.push(float_of(chunk, 7, row));
    split.push(static_cast<uint8_t>(chunk.integer(8, row)));
    labels.push(chunk, 10, row);
    if (!scores) return;
    const int at = 10 + static_cast<int>(labels.columns.size());
    scores->click.push(float_of(chunk, at, row));
    scores->dwm.push(float_of(chunk, at + 1, row));
    scores->snapshot.push(
        chunk.is_null(at + 2, row) ? -1 : static_cast<int32_t>(chunk.number(at + 2, row)));
  }
  void close() {
    request.close();
    time.close();
    position.close();
    click.close();
    user.close();
    item.close();
    clicked.close();
    split.close();
    seconds.close();
    labels.close();
    if (!scores) return;
    scores->click.close();
    scores->dwm.close();
    scores->snapshot.close();
  }
};

}  // namespace

void write_impressions(DuckDb& db, const DataRecipe& recipe, const fs::path& folder,
                       const SplitMade& split, const Events& events, IngestResult& result) {
  const char* moment = events.has_time ? "time" : "ordinal";
  db.run(
      fmt::format("CREATE TABLE moments AS SELECT \"user\" AS u, min({0}) FILTER (split = 2) AS "
                  "test_from, min({0}) FILTER (split = 1) AS valid_from FROM clicks GROUP BY 1",
                  moment));
  const std::string request = has_requests_table(db)
                                  ? "coalesce(q.number, -1)"
                                  : "coalesce(TRY_CAST(e.request AS BIGINT), -1)";
  std::string columns = fmt::format(
      "u.id AS \"user\", i.id AS item, e.time, {} AS request, e.position, e.clicked, coalesce("
      "c.position, -1) AS click, e.seconds, CAST(coalesce(c.split, {}, {}) AS UTINYINT) AS "
      "split, e.rowid AS ordinal",
      request, events.has_splits ? "e.split" : "NULL", shown_split(split, events.has_time));
  // (Logged scores stand behind the labels.)
  columns += event_columns("e.", recipe.first_label,
                           static_cast<int>(recipe.labels.size()) + (recipe.scores >= 0 ? 3 : 0));
  const std::string sql =
      numbered_events(db, columns) +
      " LEFT JOIN (SELECT ordinal, position, split FROM clicks) c ON c.ordinal = e.rowid LEFT JOIN "
      "moments b ON b.u = u.id WHERE NOT e.rejected";
  ImpressionWriters out(folder, recipe);
  Progress progress("write impressions", result.kept, "rows");
  db.query("SELECT * FROM (" + sql + ") ORDER BY time, request, position, ordinal",
           [&](const ResultChunk& chunk) {
             for (int64_t row = 0; row < chunk.rows(); ++row) out.push(chunk, row);
             progress.update(result.impressions += chunk.rows());
           });
  out.close();
  db.run("DROP TABLE moments");
}

}  // namespace retort
