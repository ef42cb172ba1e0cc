// Columns of a bundle, each checked against what it must fit.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "retort/common/file.h"
#include "retort/dataset/columns.h"

namespace retort {

/// Ids of rows: those of row r are ids[offsets[r] .. offsets[r + 1]).
struct IdRows {
  std::span<const int32_t> ids;
  std::span<const int64_t> offsets;
  std::span<const int32_t> of(int64_t row) const {
    const auto at = static_cast<size_t>(row);
    return ids.subspan(static_cast<size_t>(offsets[at]),
                       static_cast<size_t>(offsets[at + 1] - offsets[at]));
  }
};

/// Every method throws DataError naming the column that is missing or does not fit.
class CheckedColumns {
 public:
  CheckedColumns() = default;
  explicit CheckedColumns(const fs::path& folder) : folder_(folder), columns_(folder) {}
  const Columns& all() const { return columns_; }

  /// Of exactly `size` values.
  template <class T>
  std::span<const T> values(const std::string& name, int64_t size) const {
    const auto values = columns_.get<T>(name);
    if (std::ssize(values) != size) wrong_size(name, std::ssize(values), size);
    return values;
  }
  /// rows + 1 of them, rising from 0 to `total`.
  std::span<const int64_t> offsets(const std::string& name, int64_t rows, int64_t total) const;
  /// All from 0 to below `limit`.
  std::span<const int32_t> ids(const std::string& name, int64_t limit) const;
  /// "<stem>.ids" below `limit` and "<stem>.offsets" of `rows`.
  IdRows id_rows(const std::string& stem, int64_t rows, int64_t limit) const;

 private:
  [[noreturn]] void wrong_size(const std::string& name, int64_t size, int64_t expected) const;
  fs::path folder_;
  Columns columns_;
};

}  // namespace retort
