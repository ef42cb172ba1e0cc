// Calibration: do predicted probabilities match the shares observed?
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace retort {

/// One bin of a reliability table: predictions from `lowest` to `highest`.
struct ReliabilityBin {
  int64_t rows = 0;
  double lowest = 0, highest = 0;
  double mean_predicted = 0;
  double share_positive = 0;
};

/// Up to `bins` bins of equal mass over the sorted predictions. Equal predictions share a bin, so
/// bins may be larger than N / bins and fewer than `bins`.
/// Source: Nguyen & O'Connor, EMNLP 2015 (adaptive bins); Niculescu-Mizil & Caruana, ICML 2005.
/// @param predicted [N] in [0, 1]  @param labels [N] 0 or 1
std::vector<ReliabilityBin> reliability(std::span<const float> predicted,
                                        std::span<const uint8_t> labels, int32_t bins);

/// Expected calibration error: sum over bins of rows / N * |mean_predicted - share_positive|; NaN
/// without rows. Source: Naeini et al., AAAI 2015.
double expected_calibration_error(std::span<const ReliabilityBin> table);

}  // namespace retort
