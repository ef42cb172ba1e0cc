#include "retort/metric/seed_interval.h"

#include <array>
#include <cmath>
#include <limits>

#include "retort/common/error.h"

namespace retort {
namespace {

/// The 0.975 quantile of Student's t.
double t_quantile(size_t freedom) {
  constexpr std::array kTable{12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060,
                              2.2622,  2.2281, 2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199,
                              2.1098,  2.1009, 2.0930, 2.0860, 2.0796, 2.0739, 2.0687, 2.0639,
                              2.0595,  2.0555, 2.0518, 2.0484, 2.0452, 2.0423};
  if (freedom <= kTable.size()) return kTable[freedom - 1];
  const double z = 1.959964, v = static_cast<double>(freedom), cube = z * z * z;
  return z + (cube + z) / (4 * v) + (5 * cube * z * z + 16 * cube + 3 * z) / (96 * v * v);
}

}  // namespace

double mean_of(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double deviation_of(std::span<const double> values) {
  if (values.size() < 2) return std::numeric_limits<double>::quiet_NaN();
  const double mean = mean_of(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

Interval t_interval(std::span<const double> values) {
  check(values.size() >= 2, "t_interval: {} values", values.size());
  const double mean = mean_of(values);
  const double half = t_quantile(values.size() - 1) * deviation_of(values) /
                      std::sqrt(static_cast<double>(values.size()));
  return {mean, mean - half, mean + half};
}

}  // namespace retort
