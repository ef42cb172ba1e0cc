#include "retort/dataset/builder_tables.h"

#include <algorithm>
#include <limits>

#include "retort/common/error.h"
#include "retort/common/log.h"
#include "retort/dataset/string_writer.h"
#include "retort/log/event_query.h"

namespace retort {
namespace {

bool is_file_name(const std::string& name) {
  return !name.empty() && name.front() != '.' && name.find('/') == std::string::npos;
}

/// Texts and numbers of the table, its key excepted; lists and the like are no filters.
std::vector<std::string> default_filters(const Scan& scan, const std::string& key) {
  std::vector<std::string> filters;
  for (const auto& [name, type] : scan.columns)
    if (name != key && is_file_name(name) &&
        (type == "VARCHAR" || type == "BOOLEAN" || is_number_type(type)))
      filters.push_back(name);
  return filters;
}

/// The select list of one side's table and the conditions that make a row a reject.
struct Selection {
  std::string columns, reasons, value = "NULL";
  void add(const std::string& sql, const std::string& name) {
    columns += fmt::format(", {} AS {}", sql, name);
  }
};

void select_attributes(DuckDb& db, const Scan& scan, DataRecipe& recipe, Side side,
                       Selection& selection) {
  int count = 0;
  for (FeatureEntry& entry : recipe.features) {
    if (entry.spec().source != FeatureSource::kAttribute || entry.of_key() ||
        entry.spec().side != side)
      continue;
    entry.column = count;
    const Expression raw =
        resolve(db, scan, entry.expression, "features." + entry.spec().name + ".column");
    const std::string name = fmt::format("a{}", count++);
    const std::string typed = typed_sql(entry.typed_column(), raw.sql, raw.type);
    selection.add(typed, name);
    if (const std::string wrong = unparsable_sql(entry.typed_column(), raw.sql, name);
        !wrong.empty()) {
      selection.reasons += fmt::format(" WHEN {} THEN 'unparsable_value'", wrong);
      selection.value = fmt::format("coalesce({}, CASE WHEN {} THEN CAST({} AS VARCHAR) END)",
                                    selection.value, wrong, raw.sql);
    }
  }
}

void select_filters(DuckDb& db, const Scan& scan, const TableOptions& options, EntityTable& table,
                    Selection& selection) {
  table.filters = options.filters.value_or(default_filters(scan, options.key));
  for (size_t i = 0; i < table.filters.size(); ++i) {
    if (!is_file_name(table.filters[i]))
      fail<ConfigError>("recipe key 'items.filters': '{}' is no name of a column file",
                        table.filters[i]);
    const Expression raw = resolve(db, scan, table.filters[i], "items.filters");
    const bool number = is_number_type(raw.type) || raw.type == "BOOLEAN";
    table.filter_is_number.push_back(number);
    selection.add(number ? number_sql(raw.sql, raw.type) : text_sql(raw.sql, raw.type),
                  fmt::format("f{}", i));
  }
}

/// Gives back whether a key occurs twice.
bool reject_rows(DuckDb& db, const Scan& scan, const std::string& raw, double max_rejected,
                 const std::string& name) {
  add_rejects(db, scan,
              "SELECT file, row, reason, value FROM " + raw + " WHERE reason IS NOT NULL");
  const bool duplicates = db.query_integer("SELECT count(*) - count(DISTINCT key) FROM " + raw +
                                           " WHERE reason IS NULL")
                              .value_or(0) > 0;
  if (duplicates)
    add_rejects(
        db, scan,
        fmt::format("SELECT file, row, 'duplicate_key' AS reason, key AS value FROM {0} WHERE "
                    "reason IS NULL AND rowid NOT IN (SELECT min(rowid) FROM {0} WHERE "
                    "reason IS NULL GROUP BY key)",
                    raw));
  const int64_t rows = db.query_integer("SELECT count(*) FROM " + raw).value_or(0);
  if (rows == 0) fail<DataError>("{}: there is not one row of data", scan.label);
  int64_t unread = 0;
  for (const auto& [reason, count] : count_rejects(db, name))
    if (reason == "bad_line" || reason == "wrong_column_count" || reason == "not_json")
      unread += count;
  check_rejects(db, name, rows + unread, max_rejected);
  return duplicates;
}

bool has_table(DuckDb& db, const std::string& name) {
  return db.query_integer("SELECT 1 FROM duckdb_tables() WHERE table_name = " + sql_string(name))
      .has_value();
}

/// Text columns of CSV and JSON whose every value is a number become numbers.
void find_numbers(DuckDb& db, EntityTable& table) {
  for (size_t i = 0; i < table.filters.size(); ++i) {
    if (table.filter_is_number[i]) continue;
    const auto other = db.query_integer(
        fmt::format("SELECT count(*) FILTER (f{0} IS NOT NULL AND TRY_CAST(f{0} AS DOUBLE) IS "
                    "NULL) + CASE WHEN count(f{0}) = 0 THEN 1 ELSE 0 END FROM {1}",
                    i, table.name));
    table.filter_is_number[i] = other.value_or(1) == 0;
  }
}

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

void write_filter(DuckDb& db, const EntityTable& table, size_t index, const fs::path& folder) {
  const std::string name = "items.attr." + table.filters[index];
  const std::string column = fmt::format("f{}", index);
  if (table.filter_is_number[index]) {
    ColumnWriter<double> writer(folder, name);
    db.query(fmt::format("SELECT TRY_CAST({} AS DOUBLE) FROM items ORDER BY id", column),
             [&](const ResultChunk& chunk) {
               for (int64_t row = 0; row < chunk.rows(); ++row)
                 writer.push(chunk.is_null(0, row) ? kMissing : chunk.number(0, row));
             });
    writer.close();
    return;
  }
  StringWriter writer(folder, name);
  db.query(fmt::format("SELECT CAST({} AS VARCHAR) FROM items ORDER BY id", column),
           [&](const ResultChunk& chunk) {
             for (int64_t row = 0; row < chunk.rows(); ++row)
               writer.push(chunk.is_null(0, row) ? std::string_view() : chunk.text(0, row));
           });
  writer.close();
}

void write_candidates(DuckDb& db, const fs::path& folder) {
  ColumnWriter<uint8_t> writer(folder, "items.candidate");
  int64_t candidates = 0;
  db.query("SELECT coalesce(is_candidate, false) FROM items ORDER BY id",
           [&](const ResultChunk& chunk) {
             for (int64_t row = 0; row < chunk.rows(); ++row) {
               writer.push(chunk.boolean(0, row) ? 1 : 0);
               candidates += chunk.boolean(0, row) ? 1 : 0;
             }
           });
  writer.close();
  if (candidates == 0)
    fail<DataError>("recipe key 'evaluate.candidates': no row of the table [items] meets it");
}

}  // namespace

EntityTable read_entity_table(DuckDb& db, DataRecipe& recipe, Side side, const fs::path& from) {
  EntityTable table;
  table.name = side == Side::kUser ? "users" : "items";
  const auto& options = side == Side::kUser ? recipe.users : recipe.items;
  if (!options) return table;
  const Scan scan = open_source(db, options->source, from, table.name + "_source");
  const Expression key = resolve(db, scan, options->key, table.name + ".key");
  Selection selection;
  select_attributes(db, scan, recipe, side, selection);
  if (side == Side::kItem) select_filters(db, scan, *options, table, selection);
  table.published = !options->published.empty();
  if (table.published) {
    const Expression raw = resolve(db, scan, options->published, "items.published");
    selection.add(moment_sql(raw.sql, raw.type, "items.published"), "published");
  }
  table.candidates = side == Side::kItem && !recipe.candidates.empty();
  if (table.candidates) {
    const Expression condition = resolve(db, scan, recipe.candidates, "evaluate.candidates");
    if (condition.type != "BOOLEAN")
      fail<ConfigError>("recipe key 'evaluate.candidates': '{}' is of type {}, not a condition",
                        recipe.candidates, condition.type);
    selection.add("coalesce(" + condition.sql + ", false)", "is_candidate");
  }
  const std::string raw = table.name + "_table";
  db.run(
      fmt::format("CREATE TABLE {} AS SELECT *, CASE WHEN key IS NULL THEN '{}_missing'{} END AS "
                  "reason, {} AS value FROM (SELECT *, retort_file AS file, retort_row AS row, "
                  "{} AS key{} FROM {})",
                  raw, side == Side::kUser ? "user" : "item", selection.reasons, selection.value,
                  text_sql(key.sql, key.type), selection.columns, scan.relation),
      scan.label);
  const bool duplicates = reject_rows(db, scan, raw, recipe.max_rejected, table.name + "_source");
  table.rejected = count_rejects(db, table.name + "_source");
  if (duplicates)
    db.run(
        fmt::format("DELETE FROM {0} WHERE rowid NOT IN (SELECT min(rowid) FROM {0} WHERE reason "
                    "IS NULL GROUP BY key)",
                    raw));
  return table;
}

void number_entities(DuckDb& db, const EntityTable& table,
                     const std::vector<StreamSource>& streams) {
  const std::string field = table.name == "users" ? "\"user\"" : "item";
  std::string logged = fmt::format("SELECT {} AS logged FROM events WHERE NOT rejected", field);
  for (const StreamSource& stream : streams)
    logged += fmt::format(" UNION ALL SELECT {} AS logged FROM {} WHERE NOT rejected", field,
                          sql_name(stream.table()));
  std::string rows = fmt::format(
      "SELECT CAST(logged AS VARCHAR) AS key, logged FROM (SELECT DISTINCT logged FROM ({}))",
      logged);
  if (has_table(db, table.name + "_table"))
    rows = fmt::format(
        "SELECT coalesce(e.key, t.key) AS key, e.logged, t.* EXCLUDE (key, file, row, reason, "
        "value) "
        "FROM ({}) e FULL JOIN (SELECT * FROM {}_table WHERE reason IS NULL) t ON t.key = e.key",
        rows, table.name);
  std::string order = "key";
  if (has_table(db, table.name + "_before")) {
    rows = fmt::format(
        "SELECT r.*, b.id AS before FROM ({}) r LEFT JOIN {}_before b ON b.key = "
        "r.key",
        rows, table.name);
    order = "before NULLS LAST, key";
  }
  // The place in the sorted table is the number: a sort runs on all threads, a row_number() on one.
  db.run(
      fmt::format("CREATE TABLE {0}_sorted AS SELECT * {2} FROM ({1}) ORDER BY {3}; CREATE VIEW "
                  "{0} AS SELECT CAST(rowid AS INTEGER) AS id, * FROM {0}_sorted",
                  table.name, rows, order == "key" ? "" : "EXCLUDE (before)", order));
}

void write_entities(DuckDb& db, const EntityTable& table, const fs::path& folder) {
  StringWriter keys(folder, table.name + ".key");
  db.query("SELECT key FROM " + table.name + " ORDER BY id", [&](const ResultChunk& chunk) {
    for (int64_t row = 0; row < chunk.rows(); ++row) keys.push(chunk.text(0, row));
  });
  keys.close();
  EntityTable typed = table;
  find_numbers(db, typed);
  for (size_t i = 0; i < typed.filters.size(); ++i) write_filter(db, typed, i, folder);
  if (table.candidates) write_candidates(db, folder);
  if (!table.published) return;
  ColumnWriter<int64_t> published(folder, "items.published");
  db.query("SELECT published FROM items ORDER BY id", [&](const ResultChunk& chunk) {
    for (int64_t row = 0; row < chunk.rows(); ++row)
      published.push(chunk.is_null(0, row) ? INT64_MIN : chunk.integer(0, row));
  });
  published.close();
}

}  // namespace retort
