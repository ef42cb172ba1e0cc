#include "retort/dataset/builder_fit.h"

#include <algorithm>
#include <cmath>

#include "retort/common/error.h"
#include "retort/common/progress.h"
#include "retort/dataset/feature_source.h"

namespace retort {
namespace {

constexpr int64_t kSample = 1'000'000;

std::vector<double> training_values(const Dataset& dataset, const FeatureSpec& spec) {
  const auto source = make_numbers(dataset, spec);
  const auto rows = dataset.rows_of(Split::kTrain);
  const auto count = static_cast<int64_t>(rows.size());
  const int64_t taken = std::min(count, kSample);
  std::vector<double> values;
  for (int64_t i = 0; i < taken; ++i) {
    const int64_t click = rows[static_cast<size_t>(i * count / taken)];
    const auto at = static_cast<size_t>(click);
    const Clicks& clicks = dataset.clicks();
    const FeatureRow row{clicks.user[at], clicks.item[at], clicks.time[at], click};
    for (int32_t part = 0; part < spec.width; ++part) {
      const double value = source->value(row, part);
      if (std::isfinite(value)) values.push_back(value);
    }
  }
  return values;
}

}  // namespace

void fit_standard(const std::vector<double>& values, Transform& transform) {
  transform.mean = 0;
  transform.deviation = 1;
  if (values.empty()) return;
  const auto count = static_cast<double>(values.size());
  for (const double value : values) transform.mean += value / count;
  double variance = 0;
  for (const double value : values)
    variance += (value - transform.mean) * (value - transform.mean) / count;
  if (variance > 0) transform.deviation = std::sqrt(variance);
}

void fit_buckets(std::vector<double>& values, int32_t buckets, Transform& transform) {
  std::sort(values.begin(), values.end());
  transform.boundaries.clear();
  for (int32_t i = 1; i < buckets && !values.empty(); ++i) {
    const double edge =
        values[values.size() * static_cast<size_t>(i) / static_cast<size_t>(buckets)];
    // A boundary at the least value would leave the bucket below it empty.
    if (edge > values.front() &&
        (transform.boundaries.empty() || edge > transform.boundaries.back()))
      transform.boundaries.push_back(edge);
  }
}

void fit_transforms(const Dataset& dataset, std::vector<FeatureEntry>& entries) {
  for (FeatureEntry& entry : entries) {
    if (!entry.to_fit()) continue;
    check_interrupt("ingest");
    FeatureSpec& spec = entry.specs.front();
    std::vector<double> values = training_values(dataset, spec);
    if (entry.buckets == 0) {
      fit_standard(values, spec.transform);
      continue;
    }
    fit_buckets(values, entry.buckets, spec.transform);
    spec.rows = static_cast<int64_t>(spec.transform.boundaries.size()) + 2;
  }
}

}  // namespace retort
