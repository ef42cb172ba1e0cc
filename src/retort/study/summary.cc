#include "retort/study/summary.h"

#include <cmath>
#include <limits>

#include "retort/common/error.h"
#include "retort/metric/bootstrap.h"

namespace retort {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Json number(double value) { return std::isnan(value) ? Json() : Json(value); }

double mean_of(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double deviation_of(std::span<const double> values) {
  if (values.size() < 2) return kNan;
  const double mean = mean_of(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

}  // namespace

const SummaryMetric* SummaryRow::find(std::string_view metric) const {
  for (const SummaryMetric& value : metrics) {
    if (value.name == metric) return &value;
  }
  return nullptr;
}

SummaryRow summarise(std::span<const JudgedRow> seeds) {
  check(!seeds.empty(), "summarise: no rows");
  SummaryRow summary{seeds.front().name, seeds.front().kind, {}};
  for (const MetricValue& first : seeds.front().metrics) {
    SummaryMetric metric;
    metric.name = first.name;
    std::vector<double> replicates(first.replicates.size(), 0);
    for (const JudgedRow& seed : seeds) {
      const MetricValue* value = seed.find(first.name);
      check(value != nullptr && value->replicates.size() == replicates.size(),
            "summarise: the seeds of '{}' differ in '{}'", summary.name, first.name);
      metric.seeds.push_back(value->interval.value);
      for (size_t at = 0; at < replicates.size(); ++at) {
        replicates[at] += value->replicates[at] / static_cast<double>(seeds.size());
      }
    }
    metric.mean = mean_of(metric.seeds);
    metric.deviation = deviation_of(metric.seeds);
    const Interval interval = interval_of(metric.mean, replicates);
    metric.low = replicates.empty() ? metric.mean : interval.low;
    metric.high = replicates.empty() ? metric.mean : interval.high;
    metric.replicates = std::move(replicates);
    summary.metrics.push_back(std::move(metric));
  }
  return summary;
}

std::vector<Difference> differences(const SummaryRow& row, const SummaryRow& other) {
  std::vector<Difference> found;
  for (const SummaryMetric& metric : row.metrics) {
    if (metric.name != "auc_read" && !metric.name.starts_with("recall@")) continue;
    const SummaryMetric* rival = other.find(metric.name);
    if (rival == nullptr || rival->replicates.size() != metric.replicates.size()) continue;
    std::vector<double> paired(metric.replicates);
    for (size_t at = 0; at < paired.size(); ++at) paired[at] -= rival->replicates[at];
    const Interval interval = interval_of(metric.mean - rival->mean, paired);
    found.push_back(
        {metric.name, row.name, other.name, interval.value, interval.low, interval.high});
  }
  return found;
}

Json to_json(const SummaryRow& row) {
  Json json = Json::object();
  for (const SummaryMetric& metric : row.metrics) {
    Json& entry = json[metric.name];
    entry["value"] = number(metric.mean);
    entry["low"] = number(metric.low);
    entry["high"] = number(metric.high);
    entry["deviation"] = number(metric.deviation);
    entry["seeds"] = Json::array();
    for (const double value : metric.seeds) entry["seeds"].push_back(number(value));
  }
  return json;
}

}  // namespace retort
