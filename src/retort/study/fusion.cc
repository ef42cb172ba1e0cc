#include "retort/study/fusion.h"

#include "retort/common/error.h"
#include "retort/common/plot.h"
#include "retort/metric/rank_metric.h"

namespace retort {

Json to_json(const FusionPoint& point) {
  return {{"fusion", point.fusion}, {"recall", point.recall}, {"wrecall", point.wrecall}};
}

const FusionPoint& choose_fusion_point(std::span<const FusionPoint> points,
                                       const std::string& rule) {
  check(!points.empty(), "fusion: no point to choose from");
  if (rule != "sum" && rule != "recall" && rule != "wrecall")
    fail<ConfigError>("fusion: rule '{}' is unknown; known: sum, recall, wrecall", rule);
  std::vector<double> weights, values;
  for (const FusionPoint& point : points) {
    weights.push_back(point.fusion);
    values.push_back((rule == "wrecall" ? 0 : point.recall) +
                     (rule == "recall" ? 0 : point.wrecall));
  }
  return points[best_weight(weights, values)];
}

std::string fusion_plot(std::span<const FusionPoint> points, const FusionPoint& chosen, int32_t k) {
  Plot plot;
  plot.x_title = fmt::format("recall_click@{}", k);
  plot.y_title = fmt::format("wrecall@{}", k);
  plot.note = "beside a point its w; ring: chosen";
  PlotSeries& curve = plot.series.emplace_back();
  curve.name = "w";
  curve.joined = true;
  for (const FusionPoint& point : points)
    curve.points.push_back({.x = point.recall,
                            .y = point.wrecall,
                            .hint = fmt::format("w {:g}: recall {:.4f}, wrecall {:.4f}",
                                                point.fusion, point.recall, point.wrecall),
                            .label = fmt::format("{:g}", point.fusion),
                            .chosen = &point == &chosen});
  return plot_svg(plot);
}

}  // namespace retort
