#include "retort/bundle/checked_columns.h"

#include <algorithm>

#include "retort/common/error.h"

namespace retort {

void CheckedColumns::wrong_size(const std::string& name, int64_t size, int64_t expected) const {
  fail<DataError>("{}: column '{}' has {} values where {} are expected", folder_.string(), name,
                  size, expected);
}

std::span<const int64_t> CheckedColumns::offsets(const std::string& name, int64_t rows,
                                                 int64_t total) const {
  const auto offsets = values<int64_t>(name, rows + 1);
  if (offsets.front() != 0 || offsets.back() != total ||
      !std::is_sorted(offsets.begin(), offsets.end()))
    fail<DataError>("{}: column '{}' does not rise from 0 to {}", folder_.string(), name, total);
  return offsets;
}

std::span<const int32_t> CheckedColumns::ids(const std::string& name, int64_t limit) const {
  const auto ids = columns_.get<int32_t>(name);
  for (const int32_t id : ids)
    if (id < 0 || id >= limit)
      fail<DataError>("{}: column '{}' holds {}, outside 0 to {}", folder_.string(), name, id,
                      limit - 1);
  return ids;
}

IdRows CheckedColumns::id_rows(const std::string& stem, int64_t rows, int64_t limit) const {
  const auto all = ids(stem + ".ids", limit);
  return {all, offsets(stem + ".offsets", rows, std::ssize(all))};
}

}  // namespace retort
