// Columns on disk: a folder of flat little-endian arrays, one file a column, the element type in
// the file's extension ("clicks.time.i64"). Datasets and bundles are made of them.
#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "retort/common/file.h"
#include "retort/common/json.h"

namespace retort {

/// Extension of a column's file: u8, i32, i64, f32, f64.
template <class T>
constexpr std::string_view column_type();
template <>
constexpr std::string_view column_type<uint8_t>() {
  return "u8";
}
template <>
constexpr std::string_view column_type<int32_t>() {
  return "i32";
}
template <>
constexpr std::string_view column_type<int64_t>() {
  return "i64";
}
template <>
constexpr std::string_view column_type<float>() {
  return "f32";
}
template <>
constexpr std::string_view column_type<double>() {
  return "f64";
}

/// Appends to one column file through a buffer; memory does not grow with rows.
template <class T>
class ColumnWriter {
 public:
  ColumnWriter(const fs::path& folder, std::string_view name);
  void push(T value) {
    buffer_[used_++] = value;
    if (used_ == kBuffer) flush();
  }
  int64_t size() const { return written_ + static_cast<int64_t>(used_); }
  /// Throws IoError (a full disk). Must be called; the destructor does not write.
  void close();

 private:
  static constexpr size_t kBuffer = 1 << 16;
  void flush();
  fs::path path_;
  std::ofstream file_;
  std::vector<T> buffer_ = std::vector<T>(kBuffer);
  size_t used_ = 0;
  int64_t written_ = 0;
};

/// Writes a whole column.
template <class T>
void write_column(const fs::path& folder, std::string_view name, std::span<const T> values);

/// Strings as two columns: NAME.bytes.u8 and NAME.offsets.i64 (size + 1).
void write_strings(const fs::path& folder, std::string_view name,
                   std::span<const std::string> values);

class Strings {
 public:
  Strings() = default;
  Strings(std::span<const uint8_t> bytes, std::span<const int64_t> offsets);
  int64_t size() const { return offsets_.empty() ? 0 : static_cast<int64_t>(offsets_.size()) - 1; }
  std::string_view operator[](int64_t index) const;

 private:
  std::span<const uint8_t> bytes_;
  std::span<const int64_t> offsets_;
};

/// The columns of a folder, mapped on first use. Thread-safe after construction only for `get`s
/// of columns already mapped; the constructor maps all.
class Columns {
 public:
  Columns() = default;
  explicit Columns(const fs::path& folder);
  bool has(const std::string& name) const;  // with any type; for strings: name + ".bytes"
  /// Throws DataError if the column is missing, of another type or no whole number of elements.
  template <class T>
  std::span<const T> get(const std::string& name) const;
  Strings strings(const std::string& name) const;
  std::vector<std::string> names() const;

 private:
  fs::path folder_;
  std::map<std::string, MappedFile> files_;  // by file name, "clicks.time.i64"
};

/// Adds {"files": {relative path: {"bytes", "sha256"}}} for every file below `folder` to
/// `manifest`, writes it as manifest.json and its own digest as manifest.json.sha256.
void write_manifest(const fs::path& folder, Json manifest);
/// The same in two steps, where the files stay while the manifest is written more than once.
Json list_files(const fs::path& folder);
void write_manifest(const fs::path& folder, Json manifest, Json files);
/// Reads manifest.json, verifying its digest, then the size and SHA-256 of each file it lists.
/// Throws DataError naming the first file that is missing, cut, altered or extra. With
/// `deep == false` only the manifest's digest and the sizes are checked.
Json read_manifest(const fs::path& folder, bool deep = true);

}  // namespace retort
