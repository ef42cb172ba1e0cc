// The text formats of a source, CSV and JSON lines: staged in a table of DuckDB, their unreadable
// lines counted. Used by source.cc alone.
#pragma once

#include <string>
#include <vector>

#include "retort/log/source.h"

namespace retort {

/// What a file's extension says.
enum class Format { kParquet, kCsv, kJson };

/// How a file is to be split into columns.
struct FileKind {
  Format format = Format::kCsv;
  std::string delimiter = ",";
  bool recbole = false;  // header names carry types, "user_id:token"; no quoting
};

/// ['a.csv', 'b.csv'] for read_csv and its like.
std::string sql_list(const std::vector<fs::path>& files);

/// Notes where each file begins in the staged table of a source, for add_rejects().
void note_files(DuckDb& db, const std::string& table, const std::string& name);
/// The relation of a staged table: its rows in order, numbered by retort_row.
std::string staged_relation(const std::string& table);

/// Copies CSV files into a table named after the source and gives the relation. Throws DataError
/// where the files' headers differ.
std::string open_csv(DuckDb& db, const SourceOptions& options, const std::vector<fs::path>& files,
                     const FileKind& kind, const Scan& scan);
/// Copies JSON lines (or arrays) into a table, sets aside lines that hold no object, and gives the
/// relation: scalars as text, lists as lists of texts, objects as JSON.
std::string open_json(DuckDb& db, const SourceOptions& options, const std::vector<fs::path>& files,
                      const Scan& scan);

}  // namespace retort
