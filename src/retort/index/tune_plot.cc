// The plot of `retort index tune`: points of recall against latency as one SVG file.
#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "retort/index/tune.h"

namespace retort {
namespace {

constexpr double kLeft = 70, kTop = 40, kWide = 560, kHigh = 340;

/// Where a latency and a recall lie on the page.
struct Scale {
  double least_log, most_log, least_recall;
  double x(double ms) const {
    return kLeft + kWide * (std::log10(ms) - least_log) / (most_log - least_log);
  }
  double y(double recall) const {
    return kTop + kHigh * (1 - (recall - least_recall) / (1 - least_recall));
  }
};

Scale scale_of(std::span<const TunePoint> points) {
  double least = 1e9, most = 1e-9, recall = 1;
  for (const TunePoint& one : points) {
    least = std::min(least, one.median_ms);
    most = std::max(most, one.median_ms);
    recall = std::min(recall, one.recall);
  }
  return {std::floor(std::log10(std::max(least, 1e-6))),
          std::max(std::ceil(std::log10(most)), std::floor(std::log10(std::max(least, 1e-6))) + 1),
          std::min(std::floor(recall * 20) / 20, 0.95)};
}

std::string axes(const Scale& scale, int32_t k) {
  std::string svg;
  const auto line = [&](double x1, double y1, double x2, double y2) {
    svg += fmt::format("<line x1='{:.1f}' y1='{:.1f}' x2='{:.1f}' y2='{:.1f}' stroke='#ddd'/>\n",
                       x1, y1, x2, y2);
  };
  for (double power = scale.least_log; power <= scale.most_log; power += 1) {
    const double x = scale.x(std::pow(10, power));
    line(x, kTop, x, kTop + kHigh);
    svg += fmt::format("<text x='{:.1f}' y='{:.1f}' text-anchor='middle'>{:g}</text>\n", x,
                       kTop + kHigh + 18, std::pow(10, power));
  }
  for (int step = 0; step <= 5; ++step) {
    const double recall = scale.least_recall + (1 - scale.least_recall) * step / 5;
    line(kLeft, scale.y(recall), kLeft + kWide, scale.y(recall));
    svg += fmt::format("<text x='{:.1f}' y='{:.1f}' text-anchor='end'>{:.3f}</text>\n", kLeft - 8,
                       scale.y(recall) + 4, recall);
  }
  svg += fmt::format(
      "<text x='{:.1f}' y='{:.1f}' text-anchor='middle'>median ms of one query</text>\n"
      "<text x='{:.1f}' y='{:.1f}'>recall@{} against exact search</text>\n",
      kLeft + kWide / 2, kTop + kHigh + 40, kLeft, kTop - 12, k);
  return svg;
}

}  // namespace

std::string tune_plot(std::span<const TunePoint> points, const TunePoint& chosen, int32_t k) {
  static const std::map<std::string, const char*> kColours{
      {"exact", "#333333"}, {"hnsw", "#1668b8"}, {"faiss", "#c44e1a"}};
  const Scale scale = scale_of(points);
  std::string svg =
      "<svg xmlns='http://www.w3.org/2000/svg' width='720' height='440' font-family='sans-serif' "
      "font-size='12'>\n<rect width='720' height='440' fill='white'/>\n" +
      axes(scale, k);
  for (const TunePoint& one : points) {
    const char* colour = kColours.at(one.index);
    svg += fmt::format(
        "<circle cx='{:.1f}' cy='{:.1f}' r='5' stroke='{}' fill='{}'><title>{}: recall {:.4f}, "
        "{:.3f} ms, p99 {:.3f} ms</title></circle>\n",
        scale.x(one.median_ms), scale.y(one.recall), colour, one.on_front ? colour : "white",
        one.index, one.recall, one.median_ms, one.p99_ms);
  }
  svg += fmt::format(
      "<circle cx='{:.1f}' cy='{:.1f}' r='9' fill='none' stroke='#1a9641' stroke-width='2'/>\n",
      scale.x(chosen.median_ms), scale.y(chosen.recall));
  double x = kLeft + 210;
  for (const auto& [name, colour] : kColours) {
    svg += fmt::format(
        "<circle cx='{:.1f}' cy='{:.1f}' r='5' fill='{}'/><text x='{:.1f}' "
        "y='{:.1f}'>{}</text>\n",
        x, kTop - 16, colour, x + 9, kTop - 12, name);
    x += 70;
  }
  svg += fmt::format("<text x='{:.1f}' y='{:.1f}'>filled: on the front; ring: chosen</text>\n", x,
                     kTop - 12);
  return svg + "</svg>\n";
}

}  // namespace retort
