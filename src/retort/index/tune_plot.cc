// The plot of `retort index tune`: recall against latency.
#include <algorithm>

#include <fmt/format.h>

#include "retort/common/plot.h"
#include "retort/index/tune.h"

namespace retort {

std::string tune_plot(std::span<const TunePoint> points, const TunePoint& chosen, int32_t k) {
  Plot plot;
  plot.x_title = "median ms of one query";
  plot.y_title = fmt::format("recall@{} against exact search", k);
  plot.log_x = true;
  plot.note = "filled: on the front; ring: chosen";
  for (const TunePoint& one : points) {
    const auto same = [&](const PlotSeries& series) { return series.name == one.index; };
    auto series = std::find_if(plot.series.begin(), plot.series.end(), same);
    if (series == plot.series.end()) series = plot.series.insert(series, {one.index, {}});
    series->points.push_back({.x = std::max(one.median_ms, 1e-6),
                              .y = one.recall,
                              .hint = fmt::format("{}: recall {:.4f}, {:.3f} ms, p99 {:.3f} ms",
                                                  one.index, one.recall, one.median_ms, one.p99_ms),
                              .label = "",
                              .filled = one.on_front,
                              .chosen = &one == &chosen});
  }
  return plot_svg(plot);
}

}  // namespace retort
