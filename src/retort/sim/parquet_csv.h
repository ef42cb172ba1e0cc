// The way of a simulated log to disk: rows as CSV text, turned into Parquet by DuckDB.
#pragma once

#include <fstream>
#include <string>
#include <string_view>

#include "retort/common/file.h"
#include "retort/log/duckdb.h"

namespace retort {

/// A CSV file in the making. Throws IoError with the path where writing fails.
class Csv {
 public:
  explicit Csv(fs::path path);
  void write(std::string_view rows);
  const fs::path& close();

 private:
  fs::path path_;
  std::ofstream file_;
};

/// Turns CSV rows (no header, no quotes, empty = NULL) into one Parquet file and removes them.
/// `columns` in SQL: {'name': 'type'}; `select` is what stands between SELECT and FROM.
void to_parquet(DuckDb& db, const fs::path& csv, const fs::path& parquet,
                const std::string& columns, const std::string& select);

}  // namespace retort
