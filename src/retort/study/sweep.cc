#include "retort/study/sweep.h"

#include <algorithm>

#include "retort/common/error.h"
#include "retort/common/log.h"
#include "retort/common/table.h"
#include "retort/study/compare_data.h"

namespace retort {
namespace {

const Verdict* verdict_of(const std::vector<Verdict>& verdicts, const Claim& claim,
                          const std::string& metric) {
  for (const Verdict& verdict : verdicts)
    if (verdict.claim.name == claim.name && verdict.claim.row == claim.row &&
        verdict.claim.other == claim.other && verdict.metric == metric)
      return &verdict;
  return nullptr;
}

size_t index_of(const SweepResult& result, const SweepCell& cell) {
  return static_cast<size_t>(std::ranges::find(result.cells, cell) - result.cells.begin());
}

std::string sign_of(const Verdict& verdict) {
  return verdict.verdict == "reproduced" ? "+" : verdict.verdict == "reversed" ? "-" : "?";
}

/// Metrics by which a claim was judged.
std::vector<std::string> metrics_of(const SweepResult& result, const Claim& claim) {
  std::vector<std::string> metrics;
  for (const auto& verdicts : result.verdicts)
    for (const Verdict& verdict : verdicts)
      if (verdict.claim.name == claim.name && std::ranges::count(metrics, verdict.metric) == 0)
        metrics.push_back(verdict.metric);
  return metrics;
}

/// Blue above 0, orange below, white at 0, full at `most`.
std::string colour_of(double difference, double most) {
  const double share = most > 0 ? std::clamp(std::abs(difference) / most, 0.0, 1.0) : 0;
  const auto mix = [&](int full) { return static_cast<int>(255 + (full - 255) * share); };
  return difference >= 0 ? fmt::format("rgb({},{},{})", mix(90), mix(150), mix(220))
                         : fmt::format("rgb({},{},{})", mix(235), mix(140), mix(70));
}

/// For texts and quoted attributes of XML.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text)
    out += c == '<' ? "&lt;" : c == '&' ? "&amp;" : c == '\'' ? "&#39;" : std::string(1, c);
  return out;
}

/// One map of one claim, drawn from (left, top).
class MapDrawing {
 public:
  static constexpr double kCellWide = 92, kCellHigh = 40, kLeft = 96, kTop = 44;

  MapDrawing(const SweepPlan& plan, const SweepResult& result, const SweepMap& map)
      : plan_(plan),
        result_(result),
        x_(plan.dimensions[map.x]),
        y_(plan.dimensions[map.y]),
        map_(map) {}

  /// Room for the cells, and for the longer of the axes' titles below them.
  double width() const {
    const double cells = kCellWide * static_cast<double>(x_.values.size());
    const size_t longest = std::max(x_.title.size(), y_.title.size()) + 8;
    return kLeft + std::max(cells, 6.6 * static_cast<double>(longest)) + 16;
  }
  double height() const { return kTop + kCellHigh * static_cast<double>(y_.values.size()) + 46; }

  std::string draw(double left, double top, const Claim& claim, const std::string& metric,
                   double most) const {
    std::string out = text(left + kLeft, top + 16, "start", claim.name + ": " + metric, true);
    for (size_t y = 0; y < y_.values.size(); ++y) {
      const double at = top + kTop + kCellHigh * static_cast<double>(y_.values.size() - 1 - y);
      out += text(left + kLeft - 8, at + kCellHigh / 2 + 4, "end", y_.values[y].name);
      for (size_t x = 0; x < x_.values.size(); ++x)
        out +=
            cell(left + kLeft + kCellWide * static_cast<double>(x), at, claim, metric, most, x, y);
    }
    const double bottom = top + kTop + kCellHigh * static_cast<double>(y_.values.size());
    for (size_t x = 0; x < x_.values.size(); ++x)
      out += text(left + kLeft + kCellWide * (static_cast<double>(x) + .5), bottom + 16, "middle",
                  x_.values[x].name);
    out += text(left + kLeft, bottom + 34, "start", "across: " + x_.title);
    return out + text(left + kLeft, top + 34, "start", "up: " + y_.title);
  }

 private:
  static std::string text(double x, double y, const char* anchor, const std::string& words,
                          bool bold = false) {
    return fmt::format("<text x='{:.0f}' y='{:.0f}' text-anchor='{}'{}>{}</text>\n", x, y, anchor,
                       bold ? " font-weight='bold'" : "", escaped(words));
  }
  std::string cell(double left, double top, const Claim& claim, const std::string& metric,
                   double most, size_t x, size_t y) const {
    const size_t at = index_of(result_, cell_at(plan_, map_, x, y));
    const Verdict* verdict = verdict_of(result_.verdicts[at], claim, metric);
    if (verdict == nullptr)
      return text(left + kCellWide / 2, top + kCellHigh / 2 + 4, "middle", "no such world");
    return fmt::format(
               "<rect x='{:.0f}' y='{:.0f}' width='{}' height='{}' fill='{}' stroke='#888'>"
               "<title>{}: {:+.4f} [{:+.4f}, {:+.4f}], {}</title></rect>\n",
               left, top, kCellWide - 3, kCellHigh - 3, colour_of(verdict->seeds.value, most),
               escaped(result_.cells[at].label(plan_)), verdict->seeds.value, verdict->seeds.low,
               verdict->seeds.high, verdict->verdict) +
           text(left + kCellWide / 2, top + kCellHigh / 2 + 4, "middle",
                fmt::format("{:+.3f} {}", verdict->seeds.value, sign_of(*verdict)));
  }

  const SweepPlan& plan_;
  const SweepResult& result_;
  const SweepDimension &x_, &y_;
  SweepMap map_;
};

/// The largest difference of a claim in any cell, for its colours.
double largest(const SweepResult& result, const Claim& claim, const std::string& metric) {
  double most = 0;
  for (const auto& verdicts : result.verdicts)
    if (const Verdict* verdict = verdict_of(verdicts, claim, metric))
      most = std::max(most, std::abs(verdict->seeds.value));
  return most;
}

}  // namespace

SweepResult run_sweep(const SweepPlan& plan, const CompareOptions& options) {
  SweepResult result;
  result.cells = cells_of(plan);
  for (size_t i = 0; i < result.cells.size(); ++i) {
    const SweepCell& cell = result.cells[i];
    const std::string label = cell.label(plan);
    log_info("sweep", "cell {} of {}: {}", i + 1, result.cells.size(), label);
    const Json data = data_recipe(plan.compare, plan.compare.data.front(), cell.data_sets(plan));
    const std::string digest = sha256(data.value("world", Json::object()).dump()).substr(0, 12);
    fs::path world;
    try {
      world = make_world(data, options.out / "worlds" / digest);
    } catch (const ConfigError& error) {
      log_warning("sweep", "{} is left out: {}", label, error.what());
      result.verdicts.emplace_back();
      result.counts.emplace_back();
      result.reasons.emplace_back(error.what());
      continue;
    }
    CompareOptions own = options;
    own.out = options.out / "cells" / label;
    own.results.clear();
    const Dataset dataset(make_dataset(data, world, own.out));
    want_metrics(plan.compare, dataset, own.evaluate);
    const ComparePlan compare_plan = cell.compare_plan(plan);
    const DataResult measured{compare_plan.data.front(), compare(compare_plan.rows, dataset, own)};
    result.reasons.emplace_back();
    result.verdicts.push_back(judge_claims(compare_plan, measured));
    result.counts.push_back({{"clicks", dataset.clicks().size()},
                             {"users", dataset.users()},
                             {"items", dataset.items()}});
  }
  return result;
}

Json to_json(const SweepPlan& plan, const SweepResult& result) {
  Json json{{"name", plan.compare.name},
            {"title", plan.compare.title},
            {"dimensions", Json::array()},
            {"maps", Json::array()},
            {"cells", Json::array()}};
  for (const SweepDimension& dimension : plan.dimensions) {
    Json values = Json::array();
    for (const SweepValue& value : dimension.values)
      values.push_back({{"name", value.name}, {"data", value.data}, {"model", value.model}});
    json["dimensions"].push_back(
        {{"name", dimension.name}, {"title", dimension.title}, {"values", values}});
  }
  for (const SweepMap& map : plan.maps)
    json["maps"].push_back(
        {{"x", plan.dimensions[map.x].name}, {"y", plan.dimensions[map.y].name}});
  for (size_t i = 0; i < result.cells.size(); ++i) {
    Json claims = Json::array();
    for (const Verdict& verdict : result.verdicts[i])
      claims.push_back({{"name", verdict.claim.name},
                        {"metric", verdict.metric},
                        {"value", verdict.seeds.value},
                        {"low", verdict.seeds.low},
                        {"high", verdict.seeds.high},
                        {"verdict", verdict.verdict}});
    json["cells"].push_back({{"label", result.cells[i].label(plan)},
                             {"dataset", result.counts[i]},
                             {"reason", result.reasons[i]},
                             {"claims", claims}});
  }
  return json;
}

std::string table(const SweepPlan& plan, const SweepResult& result) {
  std::string all;
  for (const SweepMap& map : plan.maps) {
    const SweepDimension &x = plan.dimensions[map.x], &y = plan.dimensions[map.y];
    for (const Claim& claim : plan.compare.claims) {
      for (const std::string& metric : metrics_of(result, claim)) {
        all +=
            fmt::format("{} by {}; down: {}; across: {}\n", claim.name, metric, y.title, x.title);
        std::vector<std::string> header{y.name + " \\ " + x.name};
        for (const SweepValue& value : x.values) header.push_back(value.name);
        Table cells(header);
        for (size_t row = 0; row < y.values.size(); ++row) {
          std::vector<std::string> line{y.values[row].name};
          for (size_t column = 0; column < x.values.size(); ++column) {
            const size_t at = index_of(result, cell_at(plan, map, column, row));
            const Verdict* verdict = verdict_of(result.verdicts[at], claim, metric);
            line.push_back(verdict == nullptr ? ""
                                              : fmt::format("{:+.4f} {}", verdict->seeds.value,
                                                            sign_of(*verdict)));
          }
          cells.add(line);
        }
        all += cells.text() + "\n";
      }
    }
  }
  return all + "+ reproduced, - reversed, ? not distinguishable (intervals of 95%).\n";
}

std::string sweep_svg(const SweepPlan& plan, const SweepResult& result) {
  double width = 0, top = 36;
  std::string body;
  for (const SweepMap& map : plan.maps) {
    const MapDrawing drawing(plan, result, map);
    double left = 0;
    for (const Claim& claim : plan.compare.claims)
      for (const std::string& metric : metrics_of(result, claim)) {
        body += drawing.draw(left, top, claim, metric, largest(result, claim, metric));
        left += drawing.width();
      }
    width = std::max(width, left);
    top += drawing.height() + 12;
  }
  return fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {0:.0f} {1:.0f}' width='{0:.0f}' "
      "height='{1:.0f}' font-family='sans-serif' font-size='12' role='img' aria-label='{2}'>\n"
      "<rect width='100%' height='100%' fill='white'/>\n"
      "<text x='16' y='22' font-size='15' font-weight='bold'>{2}</text>\n{3}"
      "<text x='16' y='{4:.0f}'>difference, and + reproduced, - reversed, ? not distinguishable "
      "(95%)</text>\n</svg>\n",
      width, top + 24, escaped(plan.compare.title), body, top + 8);
}

}  // namespace retort
