// The file that `retort report` writes, opened in a real browser.
#include <cstdlib>

#include "tests/report/report_files.h"
#include "tests/support/node.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace retort {
namespace {

TEST(ReportPage, IsReadInChromium) {
  const ReportFiles files;
  const fs::path out = files.folder() / "report.html";
  const std::string command = "'" RETORT_BIN "/retort' report '" + files.folder().string() +
                              "' --quiet --out '" + out.string() + "' > /dev/null";
  ASSERT_EQ(std::system(command.c_str()), 0);
  if (const std::string why = node_missing(/*browser=*/true); !why.empty()) GTEST_SKIP() << why;
  const NodeRun run = run_node("report.mjs", {out.string(), files.folder().string(), kHostile});
  EXPECT_EQ(run.status, 0) << run.output;
}

}  // namespace
}  // namespace retort
