#include "retort/common/plot.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace retort {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Plot, PlacesPointsBetweenRoundTicks) {
  Plot plot;
  plot.x_title = "x";
  plot.y_title = "y";
  plot.series = {{"a", {{.x = 0, .y = 0.1, .hint = "low"}, {.x = 10, .y = 0.6, .hint = "high"}}}};
  const std::string svg = plot_svg(plot);
  // x runs from 0 to 10 over 70 .. 630, y from 0.1 to 0.6 over 380 .. 40.
  EXPECT_THAT(svg, HasSubstr("<circle cx='70.0' cy='380.0' r='5' stroke='#333333' "
                             "fill='#333333'><title>low</title>"));
  EXPECT_THAT(svg, HasSubstr("cx='630.0' cy='40.0'"));
  EXPECT_THAT(svg, HasSubstr(">0.3</text>"));
}

TEST(Plot, HasDecadesOnALogarithmicAxis) {
  Plot plot;
  plot.log_x = true;
  plot.series = {{"a", {{.x = 0.1, .y = 1}, {.x = 10, .y = 2}, {.x = 0, .y = 3}}}};
  const std::string svg = plot_svg(plot);
  for (const char* tick : {">0.1<", ">1<", ">10<"}) EXPECT_THAT(svg, HasSubstr(tick));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

TEST(Plot, DrawsBarsInsideTheAxes) {
  Plot plot;
  plot.series = {{"a", {{.x = 0, .y = 1}, {.x = 10, .y = 2, .low = 1.5, .high = 6}}}};
  // y runs from 1 to 6 over 380 .. 40.
  EXPECT_THAT(plot_svg(plot), HasSubstr("<line x1='630.0' y1='346.0' x2='630.0' y2='40.0'"));
  EXPECT_THAT(plot_svg(plot), Not(HasSubstr("x1='70.0' y1='380.0' x2='70.0' y2='380.0'")));
}

TEST(Plot, StandsWithoutPointsAndWithOne) {
  EXPECT_THAT(plot_svg({}), HasSubstr("</svg>"));
  Plot plot;
  plot.series = {{"a", {{.x = 3, .y = 3}, {.x = std::nan(""), .y = 1}}}};
  const std::string svg = plot_svg(plot);
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
}

}  // namespace
}  // namespace retort
