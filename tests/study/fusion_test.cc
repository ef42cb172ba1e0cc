#include "retort/study/fusion.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

using testing::HasSubstr;

const std::vector<FusionPoint> kCurve{
    {0, 0.30, 0.52}, {0.25, 0.40, 0.50}, {0.5, 0.45, 0.45}, {0.75, 0.50, 0.40}, {1, 0.50, 0.30}};

TEST(ChooseFusion, MakesWhatTheRuleNamesLargest) {
  EXPECT_EQ(choose_fusion_point(kCurve, "wrecall").fusion, 0);
  EXPECT_EQ(choose_fusion_point(kCurve, "recall").fusion, 0.75);  // of equals nearest to 1/2
  EXPECT_EQ(choose_fusion_point(kCurve, "sum").fusion, 0.5);
  EXPECT_THROW(choose_fusion_point(kCurve, "both"), ConfigError);
  EXPECT_THROW(choose_fusion_point({}, "sum"), ArgumentError);
}

TEST(FusionPlot, HasEveryPointAndRingsTheChosen) {
  const std::string plot = fusion_plot(kCurve, kCurve[2], 20);
  for (const char* text : {"<svg", "recall_click@20", "wrecall@20", "w 0.75: recall 0.5000"})
    EXPECT_THAT(plot, HasSubstr(text));
  size_t rings = 0;
  for (size_t at = plot.find("r='9'"); at != std::string::npos; at = plot.find("r='9'", at + 1))
    ++rings;
  EXPECT_EQ(rings, 1U);
}

}  // namespace
}  // namespace retort
