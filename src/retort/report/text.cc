#include "retort/report/text.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "retort/common/table.h"
#include "retort/common/text.h"

namespace retort {
namespace {

constexpr size_t kMetricsALine = 6;

std::string number(const Json& value) {
  if (!value.is_number()) return "-";
  if (value.is_number_integer()) return with_thousands(value.get<int64_t>());
  return fmt::format("{:.4f}", value.get<double>());
}

/// "0.5161 [0.4887, 0.5405]", the interval where there is one: over seeds, or else by user.
std::string with_interval(const Json& metric) {
  if (metric.is_number()) return number(metric);
  const bool seeds = metric.contains("low_seeds");
  const Json value = metric.value("value", Json()),
             low = metric.value(seeds ? "low_seeds" : "low", Json()),
             high = metric.value(seeds ? "high_seeds" : "high", Json());
  if (!low.is_number() || !high.is_number() || (low == value && high == value))
    return number(value);
  return fmt::format("{} [{}, {}]", number(value), number(low), number(high));
}

std::vector<std::string> metrics_of(const Json& models) {
  std::vector<std::string> names;
  for (const auto& [row, metrics] : models.items())
    for (const auto& [name, value] : metrics.items())
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  return names;
}

/// Rows of models with a column a metric, several tables where there are many metrics.
std::string model_tables(const Json& models) {
  const std::vector<std::string> metrics = metrics_of(models);
  std::string text;
  for (size_t first = 0; first < metrics.size(); first += kMetricsALine) {
    const size_t end = std::min(first + kMetricsALine, metrics.size());
    std::vector<std::string> header{"model"};
    header.insert(header.end(), metrics.begin() + static_cast<ptrdiff_t>(first),
                  metrics.begin() + static_cast<ptrdiff_t>(end));
    Table table(header);
    for (const auto& [row, of] : models.items()) {
      std::vector<std::string> cells{row};
      for (size_t at = first; at < end; ++at)
        cells.push_back(of.contains(metrics[at]) ? with_interval(of[metrics[at]]) : "");
      table.add(std::move(cells));
    }
    text += table.text() + "\n";
  }
  return text;
}

std::string runs_text(const Json& runs) {
  if (runs.empty()) return "";
  Table table({"run", "recipe", "status", "epochs", "metric", "best", "train s"});
  for (const Json& run : runs) {
    const Json& result = run["result"];
    table.add({run.value("name", ""), run.value("recipe", ""), run.value("status", ""),
               number(result.value("epochs", Json())), run.value("metric", ""),
               number(result.value("best_metric", Json())),
               number(result.value("train_seconds", Json()))});
  }
  return "Training\n" + table.text() + "\n";
}

std::string comparison_text(const Json& comparison) {
  std::string text = fmt::format("Comparison {} on {} ({})\n", comparison.value("title", ""),
                                 comparison.value("data", ""), comparison.value("name", ""));
  text += model_tables(comparison["models"]);
  const Json differences = comparison.value("differences", Json::array());
  if (!differences.empty()) {
    Table table({"difference", "metric", "value", "verdict"});
    for (const Json& one : differences)
      table.add({one.value("row", "") + " - " + one.value("other", ""), one.value("metric", ""),
                 with_interval(one), one.value("verdict", "")});
    text += table.text() + "\n";
  }
  const Json claims = comparison.value("claims", Json::array());
  if (!claims.empty()) {
    Table table({"claim", "metric", "value", "verdict"});
    for (const Json& one : claims)
      table.add({one.value("name", "") + ": " + one.value("text", ""), one.value("metric", ""),
                 with_interval(one), one.value("verdict", "")});
    text += table.text() + "\n";
  }
  for (const Json& warning : comparison.value("warnings", Json::array()))
    text += "Warning: " + warning.get<std::string>() + ".\n";
  return text;
}

/// "+7.8% [6.5, 9.1]"
std::string relative_text(const Json& difference) {
  const Json relative = difference.value("relative", Json::object());
  const auto percent = [&](const char* key) { return 100 * relative[key].get<double>(); };
  for (const char* key : {"value", "low", "high"})
    if (!relative.contains(key) || !relative[key].is_number()) return "-";
  return fmt::format("{:+.1f}% [{:.1f}, {:.1f}]", percent("value"), percent("low"),
                     percent("high"));
}

std::string percent_text(const Json& share) {
  return share.is_number() ? fmt::format("{:+.1f}%", 100 * share.get<double>()) : "";
}

/// "[-0.1, 0.4], decided after 254": the interval that holds at every look.
std::string look_text(const Json& difference) {
  const Json look = difference.value("sequential", Json::object());
  if (look.empty()) return "";
  const Json after = look.value("decided_after", Json());
  return fmt::format("[{}, {}]{}", number(look.value("low", Json())),
                     number(look.value("high", Json())),
                     after.is_number() ? ", decided after " + number(after) : "");
}

/// What the log alone says of an arm, beside what was replayed.
std::string estimates_text(const Json& arms) {
  Table table({"from the log alone", "metric", "replayed", "IPS", "SNIPS", "doubly robust"});
  for (const auto& [arm, metrics] : arms.items())
    for (const auto& [metric, found] : metrics.items())
      table.add({arm, metric, number(found.value("replayed", Json())),
                 with_interval(found.value("ips", Json::object())),
                 with_interval(found.value("snips", Json::object())),
                 with_interval(found.value("doubly_robust", Json::object()))});
  std::string text = arms.empty() ? "" : table.text() + "\n";
  for (const auto& [arm, metrics] : arms.items())
    for (const auto& [metric, found] : metrics.items())
      for (const Json& warning : found.value("warnings", Json::array()))
        text += fmt::format("Do not rely on the estimate of {} for {}: {}.\n", metric, arm,
                            warning.get<std::string>());
  return text;
}

std::string abtest_text(const Json& test) {
  std::string text = fmt::format("A/B test {}: ", test.value("name", ""));
  text += test.contains("tests")
              ? fmt::format("{} tests summed up\n", test["tests"].size())
              : fmt::format("{} users on {}\n", number(test.value("users", Json())),
                            test.value("date", test.value("from", "")));
  for (const auto& [section, part] : test["sections"].items()) {
    text += section + "\n" + model_tables(part.value("models", Json::object()));
    Table table({"arm against the control", "metric", "difference", "relative", "verdict",
                 "at every look", "published", "claim"});
    const Json differences = part.value("differences", Json::array());
    for (const Json& one : differences)
      table.add({one.value("arm", ""), one.value("metric", ""), with_interval(one),
                 relative_text(one), one.value("verdict", ""), look_text(one),
                 percent_text(one.value("published", Json())), one.value("claim", "")});
    if (!differences.empty()) text += table.text() + "\n";
    text += estimates_text(part.value("counterfactual", Json::object()));
  }
  return text;
}

std::string index_text(const Json& index) {
  Table table(
      {"index", fmt::format("recall@{}", index.value("k", 0)), "median ms", "p99 ms", "chosen"});
  for (const Json& point : index["points"])
    table.add({point.value("index", "") + ' ' + point.value("options", Json::object()).dump(),
               number(point.value("recall", Json())), number(point.value("median_ms", Json())),
               number(point.value("p99_ms", Json())), point == index["chosen"] ? "<-" : ""});
  return fmt::format("Recall against latency: {}\n{}\n", index.value("name", ""), table.text());
}

std::string bundles_text(const Json& bundles) {
  if (bundles.empty()) return "";
  Table table({"bundle", "model", "version", "items", "users", "width", "variance shown"});
  for (const Json& bundle : bundles)
    table.add({bundle.value("name", ""), bundle.value("model", ""), number(bundle["version"]),
               number(bundle["items"]), number(bundle["users"]), number(bundle["dim"]),
               fmt::format("{:.0f}%", 100 * (bundle["explained"][0].get<double>() +
                                             bundle["explained"][1].get<double>()))});
  return "Item vectors\n" + table.text() + "\n";
}

}  // namespace

std::string report_text(const Json& report) {
  std::string text = report.value("title", "") + "\n\n";
  for (const Json& comparison : report["comparisons"]) text += comparison_text(comparison) + "\n";
  for (const Json& test : report["abtests"]) text += abtest_text(test) + "\n";
  for (const Json& index : report["indexes"]) text += index_text(index);
  return text + runs_text(report["runs"]) + bundles_text(report["bundles"]);
}

}  // namespace retort
