#include "retort/common/plot.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace retort {
namespace {

constexpr double kLeft = 70, kTop = 40, kWide = 560, kHigh = 340;
constexpr std::array kColours{"#333333", "#1668b8", "#c44e1a", "#1a9641", "#7b3294"};

/// Ticks of one axis, ascending.
struct Axis {
  bool log = false;
  std::vector<double> ticks;

  /// 0 at the first tick, 1 at the last.
  double place(double value) const {
    const auto at = [this](double v) { return log ? std::log10(v) : v; };
    return (at(value) - at(ticks.front())) / (at(ticks.back()) - at(ticks.front()));
  }
};

/// A step of 1, 2 or 5 times a power of ten that is at least `least`.
double round_step(double least) {
  const double power = std::pow(10, std::floor(std::log10(least)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= least) return factor * power;
  return 10 * power;
}

Axis axis_of(std::vector<double> values, bool log) {
  if (values.empty()) values = {log ? 1.0 : 0.0, log ? 10.0 : 1.0};
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  Axis axis{log, {}};
  if (log) {
    const double first = std::floor(std::log10(*low)),
                 last = std::max(std::ceil(std::log10(*high)), first + 1);
    for (double power = first; power <= last; ++power) axis.ticks.push_back(std::pow(10, power));
    return axis;
  }
  const double step =
      round_step(std::max((*high - *low) / 5, 1e-6 * std::max(1.0, std::abs(*high))));
  const double first = std::floor(*low / step), last = std::max(std::ceil(*high / step), first + 1);
  for (double tick = first; tick <= last; ++tick) axis.ticks.push_back(tick * step);
  return axis;
}

bool drawable(const PlotPoint& point, bool log_x) {
  return std::isfinite(point.x) && std::isfinite(point.low + point.y + point.high) &&
         (!log_x || point.x > 0);
}

class Page {
 public:
  explicit Page(const Plot& plot) : plot_(plot) {
    std::vector<double> xs, ys;
    for (const PlotSeries& series : plot.series)
      for (const PlotPoint& point : series.points)
        if (drawable(point, plot.log_x)) {
          xs.push_back(point.x);
          ys.insert(ys.end(), {point.y, point.low, point.high});
        }
    x_ = axis_of(std::move(xs), plot.log_x);
    y_ = axis_of(std::move(ys), false);
  }

  std::string draw() {
    draw_axes();
    double legend = kLeft + 20 + 7.0 * static_cast<double>(plot_.y_title.size());
    for (size_t i = 0; i < plot_.series.size(); ++i) {
      const char* colour = kColours[i % kColours.size()];
      draw_series(plot_.series[i], colour);
      out_ += fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='5' fill='{}'/>\n", legend, kTop - 16,
                          colour);
      text(legend + 9, kTop - 12, "start", plot_.series[i].name);
      legend += 20 + 8.0 * static_cast<double>(plot_.series[i].name.size());
    }
    text(legend, kTop - 12, "start", plot_.note);
    return "<svg xmlns='http://www.w3.org/2000/svg' width='720' height='440' "
           "font-family='sans-serif' font-size='12'>\n"
           "<rect width='720' height='440' fill='white'/>\n" +
           out_ + "</svg>\n";
  }

 private:
  double x(double value) const { return kLeft + kWide * x_.place(value); }
  double y(double value) const { return kTop + kHigh * (1 - y_.place(value)); }

  void text(double at_x, double at_y, const char* anchor, const std::string& words) {
    if (words.empty()) return;
    out_ += fmt::format("<text x='{:.1f}' y='{:.1f}' text-anchor='{}'>{}</text>\n", at_x, at_y,
                        anchor, words);
  }

  void line(double x1, double y1, double x2, double y2, const char* colour) {
    out_ += fmt::format("<line x1='{:.1f}' y1='{:.1f}' x2='{:.1f}' y2='{:.1f}' stroke='{}'/>\n", x1,
                        y1, x2, y2, colour);
  }

  void draw_axes() {
    for (const double tick : x_.ticks) {
      line(x(tick), kTop, x(tick), kTop + kHigh, "#ddd");
      text(x(tick), kTop + kHigh + 18, "middle", fmt::format("{:.6g}", tick));
    }
    for (const double tick : y_.ticks) {
      line(kLeft, y(tick), kLeft + kWide, y(tick), "#ddd");
      text(kLeft - 8, y(tick) + 4, "end", fmt::format("{:.6g}", tick));
    }
    text(kLeft + kWide / 2, kTop + kHigh + 40, "middle", plot_.x_title);
    text(kLeft, kTop - 12, "start", plot_.y_title);
  }

  void draw_series(const PlotSeries& series, const char* colour) {
    const PlotPoint* before = nullptr;
    for (const PlotPoint& point : series.points) {
      if (!drawable(point, plot_.log_x)) continue;
      if (series.joined && before != nullptr)
        line(x(before->x), y(before->y), x(point.x), y(point.y), colour);
      before = &point;
    }
    for (const PlotPoint& point : series.points)
      if (drawable(point, plot_.log_x)) draw_point(point, colour);
  }

  void draw_point(const PlotPoint& point, const char* colour) {
    if (point.low < point.high) line(x(point.x), y(point.low), x(point.x), y(point.high), colour);
    out_ += fmt::format(
        "<circle cx='{:.1f}' cy='{:.1f}' r='5' stroke='{}' fill='{}'><title>{}</title></circle>\n",
        x(point.x), y(point.y), colour, point.filled ? colour : "white", point.hint);
    text(x(point.x) + 8, y(point.y) - 6, "start", point.label);
    if (point.chosen)
      out_ += fmt::format(
          "<circle cx='{:.1f}' cy='{:.1f}' r='9' fill='none' stroke='#1a9641' "
          "stroke-width='2'/>\n",
          x(point.x), y(point.y));
  }

  const Plot& plot_;
  Axis x_, y_;
  std::string out_;
};

}  // namespace

std::string plot_svg(const Plot& plot) { return Page(plot).draw(); }

}  // namespace retort
