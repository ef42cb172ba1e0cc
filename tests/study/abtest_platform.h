// A small simulated platform with bundles whose order is known, for the tests of abtest.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "tests/support/scratch_folder.h"

#include "retort/dataset/dataset.h"
#include "retort/log/duckdb.h"
#include "retort/sim/long_video_oracle.h"
#include "retort/study/abtest_log.h"

namespace retort {

inline constexpr int64_t kMicrosADay = 86'400'000'000;
inline constexpr int32_t kDays = 6, kTestDay = 5;  // the last with impressions
inline constexpr int64_t kTrailing = kMicrosADay;

/// A world, its two datasets and bundles as of the test day's begin: "taste" ranks by <theta_c,
/// phi> (what users like to click), "random" by noise; "late_tv" is of the log's end.
class Platform {
 public:
  /// Made once a process.
  static const Platform& get();
  fs::path world() const { return scratch_ / "world"; }
  std::string bundle(const std::string& name) const { return (scratch_ / name).string(); }
  const LongVideoOracle& oracle() const { return *oracle_; }
  LoggedPast past() const { return read_logged_past(world(), oracle(), kTestDay, kTrailing); }
  std::string table(const std::string& name) const {
    return "read_parquet(" + sql_string((world() / (name + ".parquet")).string()) + ")";
  }

 private:
  Platform();
  void publish(const Dataset& dataset, const std::string& name, bool taste,
               std::optional<int64_t> moment) const;

  ScratchFolder scratch_;
  std::unique_ptr<LongVideoOracle> oracle_;
};

/// A recipe of two arms, "control" and "treatment", by the names of their bundles without the row.
Json two_arms(const std::string& control, const std::string& treatment, bool movies = true);

}  // namespace retort
