// Where rows come from: a file, a folder, a glob or SQL, opened as one relation of DuckDB. Lines
// that cannot be split into columns go to the table `rejects` while the source is opened.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "retort/common/recipe.h"
#include "retort/log/duckdb.h"

namespace retort {

/// The keys of a source that say how to read it; see docs/recipes.md.
struct SourceOptions {
  std::string path;       // relative to --from; or
  std::string sql;        // a query, {from} replaced by the folder; or
  std::string table;      // made before by the ingest itself: "attributed"
  std::string where;      // SQL condition over the columns: other rows are not there
  bool hive = false;      // folders such as day=2024-03-01 become columns
  std::string delimiter;  // "" = by extension: comma, or tab for .tsv .inter .item .user
  bool header = true;
  /// Types by column name (CSV); with header = false the names in order. "" = text.
  std::vector<std::pair<std::string, std::string>> columns;
};
/// Reads and marks the keys above. Throws ConfigError unless exactly one of path and sql is given;
/// with `may_attribute` also `from = "attribution"` instead of them, which is table "attributed".
SourceOptions read_source_options(Fields& fields, bool may_attribute = false);

/// A source as DuckDB sees it.
struct Scan {
  std::string relation;  // what to write after FROM: the columns below, retort_file, retort_row
  std::vector<std::pair<std::string, std::string>> columns;  // name, DuckDB type
  std::string label;                                         // its path or "sql", for messages
  std::string name;                                          // stands in rejects.source
  bool staged = false;  // copied into a table: retort_row then counts through all its files
};

/// Makes the tables `rejects` (source, file, row, reason, value) and the like. Call once.
void create_reject_table(DuckDb& db);

/// Opens a source; text formats are copied into a table named after `name`, which also stands in
/// `rejects.source`. Rows keep the order of the sorted file names and of the lines in them.
/// Throws DataError naming the file: missing, empty,
/// truncated, or with another header than its siblings. The relation keeps the order of the log.
Scan open_source(DuckDb& db, const SourceOptions& options, const fs::path& from,
                 const std::string& name);

/// Adds the rows (file, row, reason, value) of a query over the scan's relation to `rejects`, with
/// `row` as it stands in the file: data rows from 1, lines that were not accepted included.
void add_rejects(DuckDb& db, const Scan& scan, const std::string& query);

/// A recipe's `text` as an expression over the scan: a column's name is quoted, anything else is
/// SQL as it stands. Throws DataError naming `key` and the nearest column.
struct Expression {
  std::string sql;
  std::string type;  // DuckDB's name, "VARCHAR", "INTEGER[]"
  bool list() const { return type.ends_with("[]"); }
};
Expression resolve(DuckDb& db, const Scan& scan, const std::string& text, const std::string& key);

}  // namespace retort
