#include "retort/study/summary.h"

#include <cmath>

#include "retort/common/error.h"
#include "retort/metric/bootstrap.h"
#include "retort/metric/seed_interval.h"

namespace retort {
namespace {

Json number(double value) { return std::isnan(value) ? Json() : Json(value); }

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
  for (const JudgedRow& seed : seeds)
    if (!seed.details.empty()) summary.details.push_back(seed.details);
  return summary;
}

std::string Difference::verdict() const {
  const Interval& over_seeds = seeds.value_or(users);
  if (users.low > 0 && over_seeds.low > 0) return "better";
  return users.high < 0 && over_seeds.high < 0 ? "worse" : "not distinguishable";
}

std::vector<Difference> differences(const SummaryRow& row, const SummaryRow& other) {
  std::vector<Difference> found;
  for (const SummaryMetric& metric : row.metrics) {
    if (metric.name != "auc_read" && !metric.name.starts_with("recall@")) continue;
    const SummaryMetric* rival = other.find(metric.name);
    if (rival == nullptr || rival->replicates.size() != metric.replicates.size()) continue;
    Difference difference{metric.name, row.name, other.name, user_difference(metric, *rival), {}};
    if (metric.seeds.size() > 1 && rival->seeds.size() == metric.seeds.size())
      difference.seeds = seed_difference(metric, *rival);
    found.push_back(std::move(difference));
  }
  return found;
}

Interval seed_interval(const SummaryMetric& metric) {
  if (metric.seeds.size() < 2) return {metric.mean, metric.low, metric.high};
  return t_interval(metric.seeds);
}

Interval user_difference(const SummaryMetric& row, const SummaryMetric& other) {
  check(row.replicates.size() == other.replicates.size(),
        "user_difference: '{}' has {} resamples in one row and {} in the other", row.name,
        row.replicates.size(), other.replicates.size());
  std::vector<double> paired(row.replicates);
  for (size_t at = 0; at < paired.size(); ++at) paired[at] -= other.replicates[at];
  const double value = row.mean - other.mean;
  if (paired.empty()) return {value, value, value};
  return interval_of(value, paired);
}

Interval seed_difference(const SummaryMetric& row, const SummaryMetric& other) {
  check(row.seeds.size() == other.seeds.size(),
        "seed_difference: '{}' has {} seeds in one row and {} in the other", row.name,
        row.seeds.size(), other.seeds.size());
  if (row.seeds.size() < 2 && row.replicates.empty())
    return {row.mean - other.mean, std::nan(""), std::nan("")};
  if (row.seeds.size() < 2) return user_difference(row, other);
  std::vector<double> paired(row.seeds);
  for (size_t at = 0; at < paired.size(); ++at) paired[at] -= other.seeds[at];
  return t_interval(paired);
}

Json to_json(const SummaryRow& row) {
  Json json = Json::object();
  for (const SummaryMetric& metric : row.metrics) {
    Json& entry = json[metric.name];
    entry["value"] = number(metric.mean);
    entry["low"] = number(metric.low);
    entry["high"] = number(metric.high);
    if (metric.seeds.size() > 1) {
      const Interval over_seeds = seed_interval(metric);
      entry["low_seeds"] = number(over_seeds.low);
      entry["high_seeds"] = number(over_seeds.high);
    }
    entry["deviation"] = number(metric.deviation);
    entry["seeds"] = Json::array();
    for (const double value : metric.seeds) entry["seeds"].push_back(number(value));
  }
  return json;
}

}  // namespace retort
