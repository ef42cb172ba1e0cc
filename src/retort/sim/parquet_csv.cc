#include "retort/sim/parquet_csv.h"

#include <utility>

#include <fmt/format.h>

#include "retort/common/error.h"

namespace retort {
namespace {

constexpr const char* kCsv =
    "SELECT {} FROM read_csv({}, auto_detect = false, header = false, delim = ',', quote = '', "
    "escape = '', nullstr = '', columns = {{{}}})";

}  // namespace

Csv::Csv(fs::path path) : path_(std::move(path)), file_(path_, std::ios::binary) {}

void Csv::write(std::string_view rows) {
  file_.write(rows.data(), static_cast<std::streamsize>(rows.size()));
  if (!file_) fail<IoError>("{}: cannot write: {}", path_.string(), errno_text());
}

const fs::path& Csv::close() {
  file_.close();
  if (!file_) fail<IoError>("{}: cannot write: {}", path_.string(), errno_text());
  return path_;
}

void to_parquet(DuckDb& db, const fs::path& csv, const fs::path& parquet,
                const std::string& columns, const std::string& select) {
  const std::string source =
      fmt::format(fmt::runtime(kCsv), select, sql_string(csv.string()), columns);
  db.run(fmt::format("COPY ({}) TO {} (FORMAT parquet, COMPRESSION zstd)", source,
                     sql_string(parquet.string())),
         parquet.string());
  fs::remove(csv);
}

}  // namespace retort
