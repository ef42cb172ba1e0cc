// Training jobs of several processes on this machine, for tests.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

#include "retort/common/file.h"
#include "retort/common/json.h"
#include "retort/dataset/dataset.h"

namespace retort {

/// A port of the loopback that nobody listened on a moment ago.
uint16_t free_port();

/// Forked ranks that train together. They learn of each other from the environment, as under a
/// launcher; what rank r says on standard error is kept in `folder`/rank<r>.err.
class RanksJob {
 public:
  RanksJob(const Json& recipe, const Dataset& dataset, const fs::path& folder, int ranks,
           bool resume = false);
  /// Kills what still runs.
  ~RanksJob();
  RanksJob(const RanksJob&) = delete;
  RanksJob& operator=(const RanksJob&) = delete;

  void signal(int rank, int number) const;
  /// The rank's exit code, or minus the signal that ended it; -1000 if it runs on for `seconds`,
  /// after which it is killed.
  int wait(int rank, double seconds = 60);
  std::vector<int> wait_for_all();
  std::string errors_of(int rank) const;

 private:
  fs::path folder_;
  std::vector<pid_t> ranks_;  // 0 once waited for
};

}  // namespace retort
