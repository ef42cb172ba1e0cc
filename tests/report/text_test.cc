#include "retort/report/text.h"

#include "tests/report/report_files.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/report/collect.h"

namespace retort {
namespace {

TEST(ReportText, HoldsTheNumbersTheirIntervalsAndTheVerdicts) {
  const ReportFiles files;
  const std::vector<fs::path> paths{files.folder()};
  const std::string text = report_text(collect_report(paths, {.title = "Of a test"}));
  for (const char* part : {"Of a test",
                           "0.6000 [0.5800, 0.6200]",
                           "first - second",
                           "not distinguishable",
                           "other",
                           "10.0000 [9.0000, 11.0000]",
                           "better",
                           "recall@100",
                           "<-",
                           "compare/first/seed2",
                           "Warning: first is worse than",
                           "tiny",
                           "behind ctr",
                           "+20.0% [10.0, 30.0]",
                           "10.2500",
                           "10.5000 [8.5000, 12.5000]",
                           "2 tests summed up",
                           "+30.0% [25.0, 35.0]",
                           "decided after 254",
                           "+10.0%",
                           "reproduced",
                           "Do not rely on the estimate of seconds for other: few rewards"})
    EXPECT_THAT(text, testing::HasSubstr(part));
}

}  // namespace
}  // namespace retort
