#include "retort/study/summary.h"

#include <array>
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

/// The 0.975 quantile of Student's t.
double t_quantile(size_t freedom) {
  constexpr std::array kTable{12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060,
                              2.2622,  2.2281, 2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199,
                              2.1098,  2.1009, 2.0930, 2.0860, 2.0796, 2.0739, 2.0687, 2.0639,
                              2.0595,  2.0555, 2.0518, 2.0484, 2.0452, 2.0423};
  if (freedom <= kTable.size()) return kTable[freedom - 1];
  // Source: Abramowitz & Stegun 26.7.5, first two terms.
  const double z = 1.959964, v = static_cast<double>(freedom), cube = z * z * z;
  return z + (cube + z) / (4 * v) + (5 * cube * z * z + 16 * cube + 3 * z) / (96 * v * v);
}

/// Of two values or more.
Interval t_interval(std::span<const double> values) {
  const double mean = mean_of(values);
  const double half = t_quantile(values.size() - 1) * deviation_of(values) /
                      std::sqrt(static_cast<double>(values.size()));
  return {mean, mean - half, mean + half};
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
  for (const JudgedRow& seed : seeds)
    if (!seed.details.empty()) summary.details.push_back(seed.details);
  return summary;
}

std::vector<Difference> differences(const SummaryRow& row, const SummaryRow& other) {
  std::vector<Difference> found;
  for (const SummaryMetric& metric : row.metrics) {
    if (metric.name != "auc_read" && !metric.name.starts_with("recall@")) continue;
    const SummaryMetric* rival = other.find(metric.name);
    if (rival == nullptr || rival->replicates.size() != metric.replicates.size()) continue;
    const Interval interval = user_difference(metric, *rival);
    found.push_back(
        {metric.name, row.name, other.name, interval.value, interval.low, interval.high});
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
    entry["deviation"] = number(metric.deviation);
    entry["seeds"] = Json::array();
    for (const double value : metric.seeds) entry["seeds"].push_back(number(value));
  }
  return json;
}

}  // namespace retort
