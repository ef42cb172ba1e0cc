#include "retort/log/text_source.h"

#include <algorithm>
#include <fstream>

#include "retort/common/error.h"

namespace retort {
namespace {

/// Options of read_csv for plain lines in one column: the separator occurs in no text.
constexpr const char* kLines =
    "auto_detect = false, columns = {'line': 'VARCHAR'}, header = false, delim = '\x01', "
    "quote = '', escape = ''";

std::string first_line(DuckDb& db, const fs::path& file) {
  std::string text;
  db.query(
      fmt::format("SELECT line FROM read_csv([{}], {}) WHERE line IS NOT NULL LIMIT 1",
                  sql_string(file.string()), kLines),
      [&](const ResultChunk& chunk) { text = std::string(chunk.text(0, 0)); }, file.string());
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  if (!text.empty() && text.back() == '\r') text.pop_back();
  if (text.empty()) fail<DataError>("{}: there is no header line", file.string());
  return text;
}

std::vector<std::string> split_header(const std::string& line, const std::string& delimiter) {
  std::vector<std::string> names(1);
  bool quoted = false;
  for (size_t at = 0; at < line.size(); ++at) {
    if (line[at] == '"') {
      if (quoted && at + 1 < line.size() && line[at + 1] == '"')
        names.back() += line[at++];
      else
        quoted = !quoted;
    } else if (!quoted && line.compare(at, delimiter.size(), delimiter) == 0) {
      names.emplace_back();
      at += delimiter.size() - 1;
    } else {
      names.back() += line[at];
    }
  }
  return names;
}

using TypedColumns = std::vector<std::pair<std::string, std::string>>;

/// Names and types of a CSV's columns: from the recipe, else from the header; text by default.
TypedColumns csv_columns(const SourceOptions& options, const FileKind& kind,
                         const std::string& header, const fs::path& file) {
  TypedColumns columns;
  if (!options.header) {
    for (const auto& [name, type] : options.columns)
      columns.emplace_back(name, type.empty() ? "VARCHAR" : type);
    return columns;
  }
  for (std::string name : split_header(header, kind.delimiter)) {
    std::string type = "VARCHAR";
    if (const size_t colon = name.rfind(':'); kind.recbole && colon != std::string::npos) {
      if (name.substr(colon + 1) == "float") type = "DOUBLE";
      name.erase(colon);
    }
    columns.emplace_back(name, type);
  }
  for (const auto& [name, type] : options.columns) {
    const auto at = std::find_if(columns.begin(), columns.end(),
                                 [&](const auto& column) { return column.first == name; });
    if (at == columns.end())
      fail<DataError>("{}: the recipe types a column '{}' that the header lacks: {}", file.string(),
                      name, header);
    if (!type.empty()) at->second = type;
  }
  return columns;
}

/// Lines that DuckDB could not take, once each, with the number of the data row.
void collect_csv_rejects(DuckDb& db, const std::string& name, int header_lines) {
  db.run(
      fmt::format(
          "INSERT INTO rejects SELECT {0}, file_path, line - {1}, "
          "CASE CAST(error_type AS VARCHAR) WHEN 'CAST' THEN 'unparsable_value' "
          "WHEN 'MISSING COLUMNS' THEN 'wrong_column_count' "
          "WHEN 'TOO MANY COLUMNS' THEN 'wrong_column_count' ELSE 'bad_line' END, "
          "left(trim(csv_line, chr(10) || chr(13)), 200) FROM "
          "(SELECT s.file_path, e.line, e.error_type, e.csv_line, row_number() OVER "
          "(PARTITION BY s.file_path, e.line ORDER BY e.byte_position) AS nth "
          "FROM {2} e JOIN {3} s USING (scan_id, file_id)) WHERE nth = 1 ORDER BY file_path, line",
          sql_string(name), header_lines, sql_name(name + "_errors"), sql_name(name + "_scans")),
      "rejected lines");
}

bool is_json_array(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  char first = 0;
  stream >> first;
  return first == '[';
}

std::string json_lines(const std::vector<fs::path>& files, bool hive, const std::string& name) {
  if (is_json_array(files.front()))
    return fmt::format(
        "SELECT CAST(json AS VARCHAR) AS line, * EXCLUDE (json) FROM "
        "read_json_objects({}, format = 'array', filename = 'retort_file', "
        "hive_partitioning = {})",
        sql_list(files), hive);
  return fmt::format(
      "SELECT * FROM read_csv({}, {}, filename = 'retort_file', "
      "hive_partitioning = {}, store_rejects = true, rejects_table = {}, "
      "rejects_scan = {})",
      sql_list(files), kLines, hive, sql_string(name + "_errors"), sql_string(name + "_scans"));
}

/// The structure that fits two rows' values of one key: a list where one of them is a list.
Json merged(const Json& a, const Json& b) {
  if (a.is_null() || a == "NULL") return b;
  if (b.is_null() || b == "NULL") return a;
  if (a.is_array() && b.is_array())
    return Json::array({merged(a.empty() ? Json() : a[0], b.empty() ? Json() : b[0])});
  if (a.is_array() || b.is_array()) return a.is_array() ? a : b;
  return a.is_object() ? a : b;
}

/// The type to read a structure as: lists of texts, anything else inside them as JSON.
Json readable(const Json& structure) {
  if (structure.is_array())
    return Json::array({readable(structure.empty() ? Json() : structure[0])});
  return structure.is_object() ? "JSON" : "VARCHAR";
}

/// The keys of all objects of a log with their structures, in order of first appearance.
Json json_keys(DuckDb& db, const std::string& lines, const std::string& good) {
  Json keys = Json::object();
  db.query(fmt::format("SELECT CAST(structure AS VARCHAR) FROM (SELECT json_structure(line) AS "
                       "structure, min(rowid) AS first FROM {} WHERE {} GROUP BY 1) ORDER BY first",
                       lines, good),
           [&](const ResultChunk& chunk) {
             for (int64_t row = 0; row < chunk.rows(); ++row) {
               const Json structure = Json::parse(chunk.text(0, row));
               for (const auto& [key, value] : structure.items())
                 keys[key] = merged(keys.contains(key) ? keys[key] : Json(), value);
             }
           });
  return keys;
}

/// One column of a JSON object: scalars as text, lists as lists of texts, objects as JSON.
std::string json_column(const std::string& key, const Json& structure) {
  const std::string path = sql_string("$.\"" + key + '"');
  std::string value = "line ->> " + path;
  if (structure.is_array())
    value = fmt::format("from_json(line -> {}, {})", path, sql_string(readable(structure).dump()));
  else if (structure.is_object())
    value = "line -> " + path;
  return fmt::format("({}) AS {}", value, sql_name(key));
}

}  // namespace

std::string sql_list(const std::vector<fs::path>& files) {
  std::string list = "[";
  for (const fs::path& file : files)
    list += (list.size() > 1 ? ", " : "") + sql_string(file.string());
  return list + ']';
}

void note_files(DuckDb& db, const std::string& table, const std::string& name) {
  // The k-th accepted line comes after each rejected line r_i (the i-th of its file), r_i - i < k.
  db.run(fmt::format(
      "CREATE TABLE {0} AS SELECT a.retort_file, a.first, b.shifts FROM (SELECT retort_file, "
      "min(rowid) AS first FROM {1} GROUP BY ALL) a LEFT JOIN (SELECT file, list(shift) AS shifts "
      "FROM (SELECT file, row - row_number() OVER (PARTITION BY file ORDER BY row) AS shift FROM "
      "rejects WHERE source = {2}) GROUP BY file) b ON b.file = a.retort_file",
      sql_name(name + "_files"), table, sql_string(name)));
}

std::string staged_relation(const std::string& table) {
  return "(SELECT *, rowid + 1 AS retort_row FROM " + table + ')';
}

std::string open_csv(DuckDb& db, const SourceOptions& options, const std::vector<fs::path>& files,
                     const FileKind& kind, const Scan& scan) {
  const std::string& name = scan.name;
  const std::string header = options.header ? first_line(db, files.front()) : "";
  for (const fs::path& file : files)
    if (options.header && first_line(db, file) != header)
      fail<DataError>("{}: its header '{}' is not that of {}: '{}'", file.string(),
                      first_line(db, file), files.front().string(), header);
  std::string columns;
  for (const auto& [column, type] : csv_columns(options, kind, header, files.front()))
    columns +=
        fmt::format("{}{}: {}", columns.empty() ? "" : ", ", sql_string(column), sql_string(type));
  db.run(fmt::format("CREATE TABLE {0} AS SELECT * FROM read_csv({1}, auto_detect = false, "
                     "columns = {{{2}}}, header = {3}, delim = {4}, quote = {5}, escape = {5}, "
                     "hive_partitioning = {6}, filename = 'retort_file', store_rejects = true, "
                     "rejects_table = {7}, rejects_scan = {8})",
                     sql_name(name), sql_list(files), columns, options.header,
                     sql_string(kind.delimiter), kind.recbole ? "''" : "'\"'", options.hive,
                     sql_string(name + "_errors"), sql_string(name + "_scans")),
         files.front().string());
  collect_csv_rejects(db, name, options.header ? 1 : 0);
  note_files(db, sql_name(name), name);
  return staged_relation(sql_name(name));
}

std::string open_json(DuckDb& db, const SourceOptions& options, const std::vector<fs::path>& files,
                      const Scan& scan) {
  const std::string lines = sql_name(scan.name + "_lines");
  db.run("CREATE TABLE " + lines + " AS " + json_lines(files, options.hive, scan.name),
         files.front().string());
  if (!is_json_array(files.front())) {
    collect_csv_rejects(db, scan.name, 0);
    db.run("UPDATE rejects SET reason = 'not_json' WHERE source = " + sql_string(scan.name));
  }
  note_files(db, lines, scan.name);
  const std::string good =
      "coalesce(json_valid(line) AND (CASE WHEN json_valid(line) THEN json_type(line) END) = "
      "'OBJECT', false)";
  add_rejects(db, scan,
              fmt::format("SELECT retort_file AS file, retort_row AS row, 'not_json' AS reason, "
                          "left(line, 200) AS value FROM {} WHERE trim(line) <> '' AND NOT {}",
                          staged_relation(lines), good));
  const Json keys = json_keys(db, lines, good);
  if (keys.empty()) fail<DataError>("{}: no line is a JSON object", files.front().string());
  std::string columns;
  for (const auto& [key, value] : keys.items())
    if (!key.empty() && key.find('"') == std::string::npos)
      columns += json_column(key, value) + ", ";
  return fmt::format("(SELECT {}* EXCLUDE (line) FROM {} WHERE {})", columns,
                     staged_relation(lines), good);
}

}  // namespace retort
