// A small simulated feed with bundles whose order is known, for the tests of `retort abtest feed`.
#pragma once

#include <memory>
#include <string>

#include "tests/support/scratch_folder.h"

#include "retort/common/json.h"
#include "retort/sim/oracle.h"

namespace retort {

/// A world of 200 users, 120 items and 4 days, and bundles as of the last day's begin: "taste"
/// ranks by <theta_c, phi> of that day (what users like to click), "random" by noise; "late" is
/// "random" as of the log's end. The null world has no bundles: nobody's reading time depends on
/// who reads what.
class FeedPlatform {
 public:
  static constexpr int32_t kLastDay = 3;
  /// Made once a process.
  static const FeedPlatform& get();
  fs::path world() const { return scratch_ / "world"; }
  fs::path null_world() const { return scratch_ / "null"; }
  fs::path bundles() const { return scratch_.path(); }
  const Oracle& oracle() const { return *oracle_; }
  int64_t midnight() const;  // of the last day

 private:
  FeedPlatform();
  ScratchFolder scratch_;
  std::unique_ptr<Oracle> oracle_;
};

/// A recipe of arms {"NAME": "BUNDLE" or "oracle:BY"}, in this order, without estimates.
Json feed_arms(const std::vector<std::pair<std::string, std::string>>& arms);

}  // namespace retort
