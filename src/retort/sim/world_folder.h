// What the folders of all simulated worlds have in common: how they appear, and the columns of
// their truth.
#pragma once

#include <functional>
#include <type_traits>

#include "retort/common/error.h"
#include "retort/common/file.h"
#include "retort/dataset/columns.h"
#include "retort/log/duckdb.h"
#include "retort/sim/simulate.h"

namespace retort {

/// Makes `out` with what `write(db, folder)` puts there and its answer as world.json; all or
/// nothing.
SimulateResult write_world(const fs::path& out,
                           const std::function<Json(DuckDb&, const fs::path&)>& write);

/// Visitors of (column name, vector, elements it must have): one writes the columns, one fills the
/// vectors from them. Throw ArgumentError and DataError on another number of elements.
inline auto column_writer(const fs::path& folder) {
  return [folder](const char* name, const auto& values, size_t expected) {
    check(values.size() == expected, "truth: column {} has {} values, not {}", name, values.size(),
          expected);
    write_column<typename std::decay_t<decltype(values)>::value_type>(folder, name, values);
  };
}

inline auto column_reader(const Columns& columns, const fs::path& folder) {
  return [&columns, folder](const char* name, auto& values, size_t expected) {
    const auto column = columns.get<typename std::decay_t<decltype(values)>::value_type>(name);
    if (column.size() != expected)
      fail<DataError>("{}: column {} has {} values, not {}", folder.string(), name, column.size(),
                      expected);
    values.assign(column.begin(), column.end());
  };
}

}  // namespace retort
