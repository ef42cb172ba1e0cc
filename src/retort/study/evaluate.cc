#include "retort/study/evaluate.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "retort/common/error.h"
#include "retort/common/table.h"
#include "retort/common/text.h"

namespace retort {
namespace {

bool is_recall(const std::string& metric) { return metric.starts_with("recall@"); }

bool is_of_catalogue(const std::string& metric) {
  return metric.find('@') != std::string::npos || metric == "mrr";
}

Json number(double value) { return std::isnan(value) ? Json() : Json(value); }

std::string cell_of(const MetricValue& metric) {
  if (std::isnan(metric.interval.value)) return "-";
  if (metric.name != "auc_read" && !is_recall(metric.name)) {
    return fmt::format("{:.4f}", metric.interval.value);
  }
  return fmt::format("{:.4f} ±{:.4f}", metric.interval.value,
                     (metric.interval.high - metric.interval.low) / 2);
}

/// The baselines with a higher value of one metric than a model, best first.
std::vector<std::pair<double, std::string>> better_baselines(std::span<const JudgedRow> rows,
                                                             const std::string& metric,
                                                             double own) {
  std::vector<std::pair<double, std::string>> better;
  for (const JudgedRow& row : rows) {
    if (row.kind != RowRole::kBaseline) continue;
    const MetricValue* other = row.find(metric);
    if (other != nullptr && other->interval.value > own)
      better.emplace_back(other->interval.value, row.name);
  }
  std::sort(better.begin(), better.end(), std::greater<>());
  return better;
}

std::string warning(const std::string& model, const std::string& metric, double own,
                    const std::vector<std::pair<double, std::string>>& better) {
  std::string names;
  for (const auto& [value, name] : better) names += (names.empty() ? "" : ", ") + name;
  const std::string figures = fmt::format("{} {:.3f} against {:.3f}", metric, own, better[0].first);
  if (is_recall(metric)) {
    return fmt::format(
        "{} recalls less than {}: {}: the simple rule finds more of what was read; try as-of "
        "features, or beta chosen on validation, before publishing",
        model, names, figures);
  }
  return fmt::format(
      "{} orders reads worse than {}: {}: the model has not learned what a simple rule knows; "
      "train longer or add the rule's counts as features",
      model, names, figures);
}

}  // namespace

bool is_logit_student(const Json& recipe) {
  if (!recipe.contains("terms")) return true;
  return std::none_of(recipe["terms"].begin(), recipe["terms"].end(), [](const Json& term) {
    return term.value("on", "student") == "student" && term.value("loss", "") == "squared";
  });
}

std::vector<std::string> warnings_of(std::span<const JudgedRow> rows) {
  std::vector<std::string> warnings;
  for (const JudgedRow& model : rows) {
    if (model.kind != RowRole::kModel) continue;
    for (const MetricValue& metric : model.metrics) {
      if (metric.name != "auc_read" && !is_recall(metric.name)) continue;
      const double own = metric.interval.value;
      const auto better = better_baselines(rows, metric.name, own);
      if (!better.empty()) warnings.push_back(warning(model.name, metric.name, own, better));
    }
  }
  return warnings;
}

std::vector<std::string> metrics_of(std::span<const JudgedRow> rows) {
  std::vector<std::string> names;
  for (const JudgedRow& row : rows) {
    for (const MetricValue& metric : row.metrics) {
      if (std::find(names.begin(), names.end(), metric.name) == names.end()) {
        names.push_back(metric.name);
      }
    }
  }
  return names;
}

Json to_json(const EvaluateResult& result) {
  Json json;
  json["evaluation"] = result.about;
  json["models"] = Json::object();
  json["kinds"] = Json::object();
  for (const JudgedRow& row : result.rows) {
    Json& metrics = json["models"][row.name] = Json::object();
    json["kinds"][row.name] = name_of(row.kind);
    for (const MetricValue& metric : row.metrics) {
      metrics[metric.name] = {{"value", number(metric.interval.value)},
                              {"low", number(metric.interval.low)},
                              {"high", number(metric.interval.high)}};
    }
  }
  for (const JudgedRow& row : result.rows)
    if (!row.details.empty()) json["details"][row.name] = Json::array({row.details});
  json["warnings"] = result.warnings;
  return json;
}

std::string metric_tables(const std::vector<TableRow>& rows,
                          const std::vector<std::string>& metrics,
                          const std::function<std::string(size_t, const std::string&)>& cell) {
  std::string text;
  for (const bool of_catalogue : {false, true}) {
    std::vector<std::string> shown;
    for (const std::string& metric : metrics) {
      if (is_of_catalogue(metric) == of_catalogue) shown.push_back(metric);
    }
    if (shown.empty()) continue;
    std::vector<std::string> header{of_catalogue ? "whole catalogue" : "test rows"};
    header.insert(header.end(), shown.begin(), shown.end());
    Table table(header);
    for (size_t row = 0; row < rows.size(); ++row) {
      std::vector<std::string> cells{rows[row].name};
      for (const std::string& metric : shown) cells.push_back(cell(row, metric));
      const bool empty = std::all_of(cells.begin() + 1, cells.end(),
                                     [](const std::string& text) { return text.empty(); });
      if (!empty) table.add(cells);
    }
    text += table.text() + "\n";
  }
  return text;
}

std::string describe(const Json& about) {
  std::string text = fmt::format(
      "Judged on '{}' of {}: {} clicks of {} users, {} rows with frozen negatives; intervals {}.\n",
      about.value("split", ""), about.value("dataset", ""),
      with_thousands(about.value("clicks", int64_t{0})),
      with_thousands(about.value("users", int64_t{0})),
      with_thousands(about.value("rows", int64_t{0})), about.value("intervals", ""));
  const Json counts = about.value("catalogue", Json::object());
  if (counts.empty()) return text;
  text += fmt::format(
      "Catalogue: {} items ({}), {:.0f} candidates an event; {} of {} events had no candidate to "
      "find (a miss); ties by {}; seen items {}.\n",
      with_thousands(counts.value("catalogue", int64_t{0})),
      about.value("alive", "") == "all items"
          ? "all"
          : (about.value("alive_by", "") == "impressions" ? "shown" : "clicked") +
                (" within " + about.value("alive", "")),
      counts.value("mean_candidates", 0.0), with_thousands(counts.value("misses", int64_t{0})),
      with_thousands(counts.value("events", int64_t{0})), about.value("ties", ""),
      about.value("exclude_seen", false) ? "excluded" : "kept");
  return text;
}

std::string table(const EvaluateResult& result) {
  std::vector<TableRow> rows;
  for (const JudgedRow& row : result.rows) rows.push_back({row.name, row.kind});
  std::string text =
      metric_tables(rows, metrics_of(result.rows), [&](size_t row, const std::string& name) {
        const MetricValue* metric = result.rows[row].find(name);
        return metric == nullptr ? std::string() : cell_of(*metric);
      });
  text += describe(result.about);
  for (const std::string& warning : result.warnings) text += "Warning: " + warning + ".\n";
  return text;
}

}  // namespace retort
