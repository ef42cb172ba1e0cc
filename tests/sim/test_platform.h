// A small platform of series and movies, simulated once, and its tables in SQL.
#pragma once

#include <string>

#include "test_world.h"

#include "retort/log/duckdb.h"
#include "retort/sim/long_video_oracle.h"
#include "retort/sim/long_video_simulate.h"

namespace retort::platform {

inline Json recipe() {
  return Json{{"world",
               {{"kind", "long_video"},
                {"users", 400},
                {"tv", 100},
                {"movies", 400},
                {"days", 9},
                {"attribution_days", 8},
                {"seed", 11}}}};
}

inline const testing::SimulatedFolder& shared() {
  static const testing::SimulatedFolder folder(recipe(), "long-video");
  return folder;
}

inline const LongVideoOracle& oracle() {
  static const LongVideoOracle truth(shared().path);
  return truth;
}

inline std::string table(const fs::path& folder, const std::string& name) {
  return "read_parquet(" + sql_string((folder / (name + ".parquet")).string()) + ")";
}
inline std::string table(const std::string& name) { return table(shared().path, name); }

inline int64_t count(const std::string& sql) {
  DuckDb db;
  return *db.query_integer("SELECT count(*) FROM " + sql);
}

}  // namespace retort::platform
