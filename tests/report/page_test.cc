// The file that `retort report` writes, opened in a real browser.
#include <cstdlib>
#include <utility>

#include "tests/report/report_files.h"
#include "tests/support/node.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

namespace retort {
namespace {

/// Exit code and standard output of `retort report ARGUMENTS`.
std::pair<int, std::string> report(const std::string& arguments) {
  const ScratchFolder scratch;
  const std::string out = (scratch / "out").string();
  const int status = std::system(
      ("'" RETORT_BIN "/retort' report " + arguments + " > '" + out + "' 2> /dev/null").c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(out)};
}

TEST(ReportCommand, CountsWhatItFoundAndSaysWhatIsWrong) {
  const ReportFiles files;
  const std::string folder = "'" + files.folder().string() + "'";
  const auto [status, out] =
      report(folder + " --json --out '" + folder.substr(1, folder.size() - 2) + "/report.html'");
  EXPECT_EQ(status, 0);
  const Json json = Json::parse(out);
  EXPECT_EQ(json["runs"], 2);
  EXPECT_EQ(json["bundles"], 1);
  EXPECT_EQ(json["bytes"], fs::file_size(files.folder() / "report.html"));
  EXPECT_THAT(report(folder + " --text").second, testing::HasSubstr("first - second"));
  EXPECT_THAT(report("--help").second, testing::HasSubstr("Examples:"));
  EXPECT_EQ(report(folder).first, 2);  // neither --out nor --text
  EXPECT_EQ(report(folder + " --text --topic none").first, 2);
  EXPECT_EQ(report(folder.substr(0, folder.size() - 1) + "/other.json' --text").first, 3);
}

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
