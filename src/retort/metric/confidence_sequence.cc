#include "retort/metric/confidence_sequence.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "retort/common/error.h"

namespace retort {

double sequence_half_width(int64_t n, int64_t tuned_for, double alpha) {
  check(n >= 1 && tuned_for >= 1 && alpha > 0 && alpha < 1,
        "sequence_half_width: n {}, tuned for {}, alpha {}", n, tuned_for, alpha);
  double best = 8;  // the fixed point x = ln((x + 1) / alpha^2); a contraction for x > 0
  for (int step = 0; step < 50; ++step) best = std::log((best + 1) / (alpha * alpha));
  const double x = best * static_cast<double>(n) / static_cast<double>(tuned_for);
  return std::sqrt(2 * (x + 1) / (x * static_cast<double>(n)) * std::log(std::sqrt(x + 1) / alpha));
}

PairedSequence::PairedSequence(int64_t tuned_for, double alpha)
    : tuned_for_(std::max<int64_t>(1, tuned_for)), alpha_(alpha) {}

void PairedSequence::add(const PairedUser& user) {
  const std::array<double, 4> row{user.numerator, user.denominator, user.base_numerator,
                                  user.base_denominator};
  for (size_t i = 0; i < 4; ++i) {
    sums_[i] += row[i];
    for (size_t j = 0; j < 4; ++j) products_[i][j] += row[i] * row[j];
  }
  differs_ = differs_ || user.numerator != user.base_numerator ||
             user.denominator != user.base_denominator;
  ++users_;
}

Interval PairedSequence::interval() const {
  constexpr double kUnbounded = std::numeric_limits<double>::infinity();
  if (users_ > 0 && !differs_) return {0, 0, 0};
  if (users_ < 2 || sums_[1] == 0 || sums_[3] == 0)
    return {std::numeric_limits<double>::quiet_NaN(), -kUnbounded, kUnbounded};
  const auto n = static_cast<double>(users_);
  const double ratio = sums_[0] / sums_[1], base = sums_[2] / sums_[3];
  const std::array<double, 4> slope{n / sums_[1], -ratio * n / sums_[1], -n / sums_[3],
                                    base * n / sums_[3]};
  double square = 0;  // sum of d_u^2; the sum of d_u is 0
  for (size_t i = 0; i < 4; ++i)
    for (size_t j = 0; j < 4; ++j) square += slope[i] * products_[i][j] * slope[j];
  const double deviation = std::sqrt(std::max(0.0, square) / n);
  const double half = deviation * sequence_half_width(users_, tuned_for_, alpha_);
  const double value = ratio - base;
  return {value, value - half, value + half};
}

}  // namespace retort
