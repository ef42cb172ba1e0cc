#include "retort/log/source.h"

#include <algorithm>
#include <cctype>
#include <fstream>

#include <zlib.h>

#include "retort/common/error.h"
#include "retort/common/text.h"

namespace retort {
namespace {

enum class Format { kParquet, kCsv, kJson };

struct FileKind {
  Format format = Format::kCsv;
  std::string delimiter = ",";
  bool recbole = false;  // header names carry types, "user_id:token"; no quoting
};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return text;
}

std::optional<FileKind> kind_of(const fs::path& path) {
  fs::path name = lower(path.filename().string());
  if (name.extension() == ".gz") name = name.stem();
  const std::string extension = name.extension().string();
  if (extension == ".parquet" || extension == ".pq") return FileKind{Format::kParquet, "", false};
  if (extension == ".csv") return FileKind{Format::kCsv, ",", false};
  if (extension == ".tsv") return FileKind{Format::kCsv, "\t", false};
  if (extension == ".inter" || extension == ".item" || extension == ".user")
    return FileKind{Format::kCsv, "\t", true};
  if (extension == ".jsonl" || extension == ".json" || extension == ".ndjson")
    return FileKind{Format::kJson, "", false};
  return std::nullopt;
}

std::string names_in(const fs::path& folder, const std::string& wanted) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    names.push_back(entry.path().filename().string());
  const std::string near = nearest_name(wanted, names);
  return near.empty() ? "" : "; did you mean '" + near + "'?";
}

std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file() && name.front() != '.' && name.front() != '_' &&
        kind_of(entry.path()))
      files.push_back(entry.path());
  }
  return files;
}

/// The files of a path, sorted by name, each of them not empty and all of one format.
std::vector<fs::path> find_files(DuckDb& db, const fs::path& path) {
  std::vector<fs::path> files;
  if (path.string().find_first_of("*?[") != std::string::npos) {
    db.query("SELECT file FROM glob(" + sql_string(path.string()) + ")",
             [&](const ResultChunk& chunk) {
               for (int64_t row = 0; row < chunk.rows(); ++row)
                 files.emplace_back(chunk.text(0, row));
             });
    if (files.empty()) fail<DataError>("{}: no file has such a name", path.string());
  } else if (fs::is_directory(path)) {
    files = files_below(path);
    if (files.empty())
      fail<DataError>("{}: the folder holds no Parquet, CSV or JSON file", path.string());
  } else if (fs::is_regular_file(path)) {
    files = {path};
  } else {
    fail<DataError>("{}: no such file or folder{}", path.string(),
                    names_in(path.parent_path(), path.filename().string()));
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files)
    if (fs::file_size(file) == 0) fail<DataError>("{}: the file is empty", file.string());
  return files;
}

FileKind common_kind(const std::vector<fs::path>& files) {
  const auto first = kind_of(files.front());
  if (!first)
    fail<ConfigError>(
        "{}: the format is known by the extension, one of .parquet .csv .tsv .inter .item .user "
        ".json .jsonl, each also with .gz",
        files.front().string());
  for (const fs::path& file : files) {
    const auto kind = kind_of(file);
    if (!kind || kind->format != first->format || kind->delimiter != first->delimiter)
      fail<DataError>("{}: another format than {}; name one format by a glob", file.string(),
                      files.front().string());
  }
  return *first;
}

/// DuckDB takes a cut gzip file for a shorter one; this reads it to its checksum.
void check_gzip(const fs::path& file) {
  gzFile stream = gzopen(file.c_str(), "rb");
  if (stream == nullptr) fail<IoError>("{}: cannot open: {}", file.string(), errno_text());
  std::vector<char> buffer(1 << 20);
  int got = 1;
  while (got > 0) got = gzread(stream, buffer.data(), static_cast<unsigned>(buffer.size()));
  const bool compressed = gzdirect(stream) == 0;
  const bool closed = gzclose(stream) == Z_OK;  // tells of a stream that ends too early
  const bool whole = got == 0 && compressed && closed;
  if (!whole)
    fail<DataError>("{}: truncated, damaged or no gzip file; copy it again", file.string());
}

std::string sql_list(const std::vector<fs::path>& files) {
  std::string list = "[";
  for (const fs::path& file : files)
    list += (list.size() > 1 ? ", " : "") + sql_string(file.string());
  return list + ']';
}

// ---- Parquet -----------------------------------------------------------------------------------

/// DuckDB's own message on a cut file speaks of a footer length; this names file and remedy.
void check_parquet_ends(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string head(4, '\0'), tail(4, '\0');
  stream.read(head.data(), 4);
  stream.seekg(-4, std::ios::end);
  stream.read(tail.data(), 4);
  if (!stream || head != "PAR1" || tail != "PAR1")
    fail<DataError>(
        "{}: truncated or no Parquet file (the mark PAR1 is missing at its {}); "
        "copy it again",
        file.string(), head == "PAR1" ? "end" : "begin");
}

std::string open_parquet(const std::vector<fs::path>& files, bool hive) {
  for (const fs::path& file : files) check_parquet_ends(file);
  const std::string scan = fmt::format(
      "read_parquet({}, filename = 'retort_file', file_row_number = true, "
      "union_by_name = true, hive_partitioning = {})",
      sql_list(files), hive);
  return "(SELECT * EXCLUDE (file_row_number), file_row_number + 1 AS retort_row FROM " + scan +
         ')';
}

// ---- CSV ---------------------------------------------------------------------------------------

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

/// Notes where each file begins in the staged table and how the rejected lines shift its rows:
/// the k-th accepted line comes after each rejected line r_i (the i-th of its file), r_i - i < k.
void note_files(DuckDb& db, const std::string& table, const std::string& name) {
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

void open_csv(DuckDb& db, const SourceOptions& options, const std::vector<fs::path>& files,
              const FileKind& kind, const std::string& name) {
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
}

// ---- JSON --------------------------------------------------------------------------------------

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

/// Copies the lines into a table, sets aside those that are no object, and gives the relation.
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

// ---- all ---------------------------------------------------------------------------------------

std::string replace_from(std::string sql, const fs::path& from) {
  for (size_t at = 0; (at = sql.find("{from}", at)) != std::string::npos;)
    sql.replace(at, 6, from.string());
  return sql;
}

std::string open_sql(DuckDb& db, const SourceOptions& options, const fs::path& from,
                     const std::string& name) {
  std::string sql = replace_from(options.sql, from);
  while (!sql.empty() &&
         (std::isspace(static_cast<unsigned char>(sql.back())) || sql.back() == ';'))
    sql.pop_back();
  db.run(fmt::format("CREATE TABLE {} AS SELECT *, 'sql' AS retort_file FROM ({})", sql_name(name),
                     sql),
         "recipe key 'sql'");
  note_files(db, sql_name(name), name);
  return staged_relation(sql_name(name));
}

}  // namespace

SourceOptions read_source_options(Fields& fields) {
  SourceOptions options;
  fields.read("path", options.path);
  fields.read("sql", options.sql);
  fields.read("hive", options.hive);
  fields.read("delimiter", options.delimiter);
  fields.read("header", options.header);
  const Json& columns = fields.sub("columns");
  if (columns.is_object()) {
    for (const auto& [name, type] : columns.items())
      options.columns.emplace_back(name, type.is_string() ? type.get<std::string>() : "");
  } else if (columns.is_array()) {
    for (const Json& entry : columns) {
      const std::string text = entry.is_string() ? entry.get<std::string>() : "";
      const size_t colon = text.find(':');
      options.columns.emplace_back(text.substr(0, colon),
                                   colon == std::string::npos ? "" : text.substr(colon + 1));
    }
  }
  if (options.path.empty() == options.sql.empty())
    fail<ConfigError>("{}: give either 'path' or 'sql'", fields.name("path"));
  if (!options.header && !columns.is_array())
    fail<ConfigError>(
        "{}: header = false needs the names in order: columns = [\"user\", "
        "\"item\", \"time:DOUBLE\"]",
        fields.name("columns"));
  return options;
}

void create_reject_table(DuckDb& db) {
  db.run(
      "CREATE TABLE rejects (source VARCHAR, file VARCHAR, row BIGINT, reason VARCHAR, "
      "value VARCHAR)");
}

void add_rejects(DuckDb& db, const Scan& scan, const std::string& query) {
  const std::string source = sql_string(scan.name);
  if (!scan.staged) {
    db.run(fmt::format("INSERT INTO rejects SELECT {}, file, row, reason, value FROM ({})", source,
                       query));
    return;
  }
  db.run(fmt::format(
      "INSERT INTO rejects SELECT {}, file, row - first + coalesce(len(list_filter(shifts, "
      "s -> s < row - first)), 0), reason, value FROM ({}) r JOIN {} f ON f.retort_file = r.file "
      "ORDER BY file, row",
      source, query, sql_name(scan.name + "_files")));
}

Scan open_source(DuckDb& db, const SourceOptions& options, const fs::path& from,
                 const std::string& name) {
  Scan scan;
  scan.name = name;
  scan.staged = true;
  scan.label = options.path.empty() ? "sql" : (from / options.path).string();
  if (!options.sql.empty()) {
    scan.relation = open_sql(db, options, from, name);
  } else {
    const std::vector<fs::path> files = find_files(db, from / options.path);
    FileKind kind = common_kind(files);
    for (const fs::path& file : files)
      if (lower(file.extension().string()) == ".gz") check_gzip(file);
    if (!options.delimiter.empty()) kind.delimiter = options.delimiter;
    if (kind.format == Format::kParquet) {
      scan.relation = open_parquet(files, options.hive);
      scan.staged = false;
    } else if (kind.format == Format::kJson) {
      scan.relation = open_json(db, options, files, scan);
    } else {
      open_csv(db, options, files, kind, name);
      scan.relation = staged_relation(sql_name(name));
    }
  }
  try {
    scan.columns = db.describe("SELECT * EXCLUDE (retort_file, retort_row) FROM " + scan.relation);
  } catch (const DataError& error) {
    fail<DataError>("{}: {}", scan.label, error.what());
  }
  return scan;
}

Expression resolve(DuckDb& db, const Scan& scan, const std::string& text, const std::string& key) {
  std::vector<std::string> names;
  for (const auto& [name, type] : scan.columns) {
    if (lower(name) == lower(text)) return {sql_name(name), type};
    names.push_back(name);
  }
  const bool bare = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_';
  });
  if (bare && std::isdigit(static_cast<unsigned char>(text.front())) == 0) {
    const std::string near = nearest_name(text, names);
    fail<DataError>("{}: no column '{}' for {}{}; there are: {}", scan.label, text, key,
                    near.empty() ? "" : "; did you mean '" + near + "'?", fmt::join(names, ", "));
  }
  try {
    const auto columns = db.describe("SELECT (" + text + ") AS value FROM " + scan.relation);
    return {'(' + text + ')', columns.at(0).second};
  } catch (const DataError& error) {
    fail<DataError>("{}: {}: the expression '{}' fails: {}", scan.label, key, text, error.what());
  }
}

}  // namespace retort
