#include "retort/log/source.h"

#include <algorithm>
#include <cctype>
#include <fstream>

#include <zlib.h>

#include "retort/common/error.h"
#include "retort/common/text.h"
#include "retort/log/text_source.h"

namespace retort {
namespace {

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

SourceOptions read_source_options(Fields& fields, bool may_attribute) {
  SourceOptions options;
  std::string made;
  if (may_attribute) fields.read("from", made);
  if (!made.empty() && made != "attribution")
    fail<ConfigError>("{}: '{}' is none of: attribution", fields.name("from"), made);
  if (!made.empty()) options.table = "attributed";
  fields.read("where", options.where);
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
  if (static_cast<int>(!options.path.empty()) + static_cast<int>(!options.sql.empty()) +
          static_cast<int>(!options.table.empty()) !=
      1)
    fail<ConfigError>("{}: give either 'path' or 'sql'{}", fields.name("path"),
                      may_attribute ? " or from = \"attribution\"" : "");
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
  if (!options.table.empty()) {
    scan.label = options.table;
    scan.relation = fmt::format("(SELECT *, {} AS retort_file, rowid + 1 AS retort_row FROM {})",
                                sql_string(options.table), sql_name(options.table));
    scan.staged = false;
  } else if (!options.sql.empty()) {
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
      scan.relation = open_csv(db, options, files, kind, scan);
    }
  }
  try {
    scan.columns = db.describe("SELECT * EXCLUDE (retort_file, retort_row) FROM " + scan.relation);
  } catch (const DataError& error) {
    fail<DataError>("{}: {}", scan.label, error.what());
  }
  if (!options.where.empty()) {
    const Expression condition = resolve(db, scan, options.where, "where");
    if (condition.type != "BOOLEAN")
      fail<ConfigError>("{}: where: '{}' is of type {}, not a condition", scan.label, options.where,
                        condition.type);
    scan.relation = fmt::format("(SELECT * FROM {} WHERE {})", scan.relation, condition.sql);
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
