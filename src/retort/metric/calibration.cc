#include "retort/metric/calibration.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "retort/common/error.h"

namespace retort {

std::vector<ReliabilityBin> reliability(std::span<const float> predicted,
                                        std::span<const uint8_t> labels, int32_t bins) {
  check(predicted.size() == labels.size(), "reliability: {} predictions but {} labels",
        predicted.size(), labels.size());
  check(bins > 0, "reliability: bins must be above 0, not {}", bins);
  for (size_t row = 0; row < predicted.size(); ++row) {
    check(predicted[row] >= 0 && predicted[row] <= 1,
          "reliability: the prediction {} of row {} is no probability", predicted[row], row);
  }
  const int64_t rows = static_cast<int64_t>(predicted.size());
  std::vector<int64_t> order(rows);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](int64_t a, int64_t b) { return predicted[a] < predicted[b]; });
  std::vector<ReliabilityBin> table;
  for (int64_t begin = 0, bin = 1; begin < rows; ++bin) {
    int64_t end = std::max(begin + 1, bin * rows / bins);
    if (begin >= bin * rows / bins && bin < bins) continue;
    while (end < rows && predicted[order[end]] == predicted[order[end - 1]]) ++end;
    ReliabilityBin cell{end - begin, predicted[order[begin]], predicted[order[end - 1]], 0, 0};
    for (int64_t at = begin; at < end; ++at) {
      cell.mean_predicted += predicted[order[at]];
      cell.share_positive += labels[order[at]];
    }
    cell.mean_predicted /= static_cast<double>(cell.rows);
    cell.share_positive /= static_cast<double>(cell.rows);
    table.push_back(cell);
    begin = end;
  }
  return table;
}

double expected_calibration_error(std::span<const ReliabilityBin> table) {
  double error = 0, rows = 0;
  for (const ReliabilityBin& bin : table) {
    error += static_cast<double>(bin.rows) * std::abs(bin.mean_predicted - bin.share_positive);
    rows += static_cast<double>(bin.rows);
  }
  return rows > 0 ? error / rows : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace retort
