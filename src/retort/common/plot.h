// Points on two axes as one SVG file: what commands with --plot write.
#pragma once

#include <string>
#include <vector>

namespace retort {

struct PlotPoint {
  double x = 0, y = 0;
  std::string hint{};   // shown when the pointer rests on it
  std::string label{};  // written beside it
  bool filled = true;
  bool chosen = false;       // a ring around it
  double low = y, high = y;  // a bar from one to the other
};

struct PlotSeries {
  std::string name;
  std::vector<PlotPoint> points;
  bool joined = false;  // by a line, in their order
};

struct Plot {
  std::string x_title, y_title;
  bool log_x = false;  // decades; every x is above 0
  std::vector<PlotSeries> series;
  std::string note;  // behind the names of the series
};

/// 720 x 440 pixels; axes from round numbers around the points. Points that are not finite are left
/// out; without any the axes run from 0 to 1.
std::string plot_svg(const Plot& plot);

}  // namespace retort
