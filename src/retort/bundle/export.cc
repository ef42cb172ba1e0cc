#include "retort/bundle/export.h"

#include <algorithm>
#include <fstream>
#include <vector>

#include <unistd.h>

#include "retort/common/error.h"
#include "retort/common/progress.h"
#include "retort/log/duckdb.h"

namespace retort {
namespace {

constexpr int64_t kBlock = 4096;

/// A file that takes its name only when it is whole.
class FileInMaking {
 public:
  explicit FileInMaking(fs::path target)
      : target_(std::move(target)), path_(fmt::format("{}.tmp-{}", target_.string(), ::getpid())) {}
  FileInMaking(const FileInMaking&) = delete;
  FileInMaking& operator=(const FileInMaking&) = delete;
  ~FileInMaking() {
    std::error_code ignored;
    fs::remove(path_, ignored);
  }
  const fs::path& path() const { return path_; }
  void commit() {
    sync_path(path_);
    fs::rename(path_, target_);
    sync_path(target_.has_parent_path() ? target_.parent_path() : fs::path("."));
  }

 private:
  fs::path target_, path_;
};

std::ofstream open_output(const fs::path& path) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  if (!file) fail<IoError>("{}: cannot open for writing: {}", path.string(), errno_text());
  return file;
}

void close_output(std::ofstream& file, const fs::path& path) {
  file.close();
  if (!file) fail<IoError>("{}: cannot write: {}", path.string(), errno_text());
}

/// Calls `each(begin, rows)` with every block of vectors.
void for_blocks(const VectorSource& source,
                const std::function<void(int64_t, std::span<const float>)>& each) {
  const int64_t count = source.keys.size();
  Progress progress("export", count, "vectors");
  std::vector<float> block;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t end = std::min(begin + kBlock, count);
    block.resize(static_cast<size_t>((end - begin) * source.dim));
    source.fill(begin, end, block);
    each(begin, block);
    progress.update(end);
  }
}

std::string npy_header(int64_t rows, int64_t columns) {
  std::string text =
      fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", rows, columns);
  constexpr size_t kPrefix = 10;  // magic, version, length of the text
  text.append(63 - (kPrefix + text.size()) % 64, ' ');
  text += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(text.size() & 0xff);
  header += static_cast<char>(text.size() >> 8);
  return header + text;
}

std::string csv_quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

void write_csv(const VectorSource& source, const fs::path& path) {
  std::ofstream file = open_output(path);
  for_blocks(source, [&](int64_t begin, std::span<const float> rows) {
    std::string text;
    for (size_t at = 0; at < rows.size(); at += static_cast<size_t>(source.dim)) {
      const auto row = rows.subspan(at, static_cast<size_t>(source.dim));
      text += fmt::format("{},\"[{}]\"\n", csv_quoted(source.keys[begin++]), fmt::join(row, ","));
    }
    file << text;
  });
  close_output(file, path);
}

}  // namespace

void export_npy(const VectorSource& source, const fs::path& path) {
  FileInMaking keys(path.string() + ".keys.txt"), vectors(path);
  std::ofstream key_file = open_output(keys.path());
  for (int64_t i = 0; i < source.keys.size(); ++i) {
    if (source.keys[i].find('\n') != std::string_view::npos)
      fail<DataError>("{}: key {} holds a line break; export it as parquet", keys.path().string(),
                      i);
    key_file << source.keys[i] << '\n';
  }
  close_output(key_file, keys.path());
  std::ofstream file = open_output(vectors.path());
  file << npy_header(source.keys.size(), source.dim);
  for_blocks(source, [&](int64_t, std::span<const float> rows) {
    file.write(reinterpret_cast<const char*>(rows.data()),
               static_cast<std::streamsize>(rows.size_bytes()));
  });
  close_output(file, vectors.path());
  keys.commit();
  vectors.commit();
}

void export_parquet(const VectorSource& source, const fs::path& path) {
  // The C API of DuckDB has no plain way in for lists; its CSV reader does.
  FileInMaking csv(path.string() + ".csv"), parquet(path);
  write_csv(source, csv.path());
  DuckDb db;
  db.run(fmt::format(
             "COPY (SELECT * FROM read_csv({}, auto_detect = false, header = false, delim = ',', "
             "quote = '\"', escape = '\"', allow_quoted_nulls = false, parallel = false, "
             "columns = {{'id': 'VARCHAR', 'vector': 'FLOAT[]'}})) TO {} (FORMAT parquet)",
             sql_string(csv.path().string()), sql_string(parquet.path().string())),
         "export");
  parquet.commit();
}

void export_vectors(const VectorSource& source, const fs::path& path, const std::string& format) {
  if (format == "npy") return export_npy(source, path);
  if (format == "parquet") return export_parquet(source, path);
  fail<ConfigError>("format '{}' is none of: npy, parquet", format);
}

}  // namespace retort
