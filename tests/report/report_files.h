// A folder with everything that a report shows, made by hand.
#pragma once

#include "tests/bundle/tiny_bundle.h"
#include "tests/support/scratch_folder.h"

#include "retort/common/json.h"

namespace retort {

/// A text that is markup, where it is taken for such.
inline constexpr const char* kHostile = "</script><img src=x onerror=alert(1)>";

/// FOLDER/compare/compare.json of the models "first", "second" and kHostile, with runs
/// compare/first/seed1 and seed2; test/abtest.json; feed_test and feed_tests (two summed up)
/// likewise; tune.json; bundles/1 and 2; a dataset; files that are nothing of these.
class ReportFiles {
 public:
  ReportFiles();
  fs::path folder() const { return scratch_.path(); }

 private:
  void write(const std::string& name, const Json& json) const;
  void write_run(const std::string& name, double best) const;
  ScratchFolder scratch_;
};

}  // namespace retort
