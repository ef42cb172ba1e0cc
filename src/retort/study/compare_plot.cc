#include "retort/study/compare_plot.h"

#include <algorithm>

#include "retort/common/error.h"
#include "retort/common/plot.h"

namespace retort {
namespace {

PlotSeries& series_of(Plot& plot, const std::string& name) {
  for (PlotSeries& series : plot.series)
    if (series.name == name) return series;
  return plot.series.emplace_back(PlotSeries{.name = name, .points = {}, .joined = true});
}

void add_points(Plot& plot, const ComparePlan& plan, const DataResult& measured,
                const std::string& metric) {
  for (const CompareRow& row : plan.rows) {
    const auto& rows = measured.result.rows;
    const auto summary = std::find_if(rows.begin(), rows.end(),
                                      [&](const auto& one) { return one.name == row.label; });
    if (!row.x || summary == rows.end()) continue;
    const SummaryMetric* value = summary->find(metric);
    if (value == nullptr) continue;
    const Interval interval = seed_interval(*value);
    const std::string name = plan.data.size() > 1 ? measured.data + " " + row.line : row.line;
    series_of(plot, name)
        .points.push_back({.x = *row.x,
                           .y = value->mean,
                           .hint = fmt::format("{}: {:.4f} [{:.4f}, {:.4f}]", row.heading(),
                                               value->mean, interval.low, interval.high),
                           .label = "",
                           .low = interval.low,
                           .high = interval.high});
  }
}

}  // namespace

std::map<std::string, std::string> plan_plots(const ComparePlan& plan,
                                              const std::vector<DataResult>& measured) {
  std::map<std::string, std::string> files;
  if (!plan.plot) return files;
  ComparePlan drawn = plan;
  drawn.metrics = plan.plot->metrics;
  for (const std::string& metric : table_metrics(drawn, measured.front().result)) {
    Plot plot;
    plot.x_title = plan.plot->x_title;
    plot.y_title = metric;
    for (const DataResult& data : measured) add_points(plot, plan, data, metric);
    for (PlotSeries& series : plot.series)
      std::ranges::stable_sort(series.points, {}, &PlotPoint::x);
    std::string name = plan.name + "-" + metric + ".svg";
    std::ranges::replace(name, '@', '-');
    files[name] = plot_svg(plot);
  }
  return files;
}

}  // namespace retort
