#include "retort/sim/law.h"

#include <cmath>
#include <numbers>

namespace retort {

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

double probability_longer(double m, double sigma, double threshold, double cap) {
  if (threshold >= cap) return 0;
  return normal_cdf((m - std::log(threshold)) / sigma);
}

double expected_capped(double m, double sigma, double cap) {
  const double z = (std::log(cap) - m) / sigma;
  return std::exp(m + 0.5 * sigma * sigma) * normal_cdf(z - sigma) + cap * normal_cdf(-z);
}

double examination(int32_t position) { return 1.0 / std::log2(position + 1.0); }

}  // namespace retort
