#include "retort/metric/bootstrap.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "retort/common/error.h"
#include "retort/common/thread_pool.h"

namespace retort {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// thresholds[k] = P(Poisson(1) <= k) * 2^32, rounded down. Beyond 11 the mass is below 2^-32.
std::array<uint64_t, 12> poisson_thresholds() {
  std::array<uint64_t, 12> thresholds{};
  double term = std::exp(-1.0), sum = 0;
  for (size_t k = 0; k < thresholds.size(); ++k) {
    if (k > 0) term /= static_cast<double>(k);
    sum += term;
    thresholds[k] = static_cast<uint64_t>(std::min(sum, 1.0) * 4294967296.0);
  }
  return thresholds;
}

}  // namespace

Bootstrap::Bootstrap(int64_t users, BootstrapOptions options)
    : users_(users), options_(options), rng_(options.seed, "bootstrap") {
  check(options.resamples > 0, "bootstrap: resamples must be above 0, not {}", options.resamples);
}

void Bootstrap::weights(int32_t resample, std::span<uint8_t> out) const {
  static const std::array<uint64_t, 12> thresholds = poisson_thresholds();
  check(static_cast<int64_t>(out.size()) == users_, "bootstrap: {} weights for {} users",
        out.size(), users_);
  const Rng rng = rng_.fork(static_cast<uint64_t>(resample));
  std::array<uint32_t, 4> bits{};
  for (size_t user = 0; user < out.size(); ++user) {
    if (user % 4 == 0) bits = rng.block(user / 4);
    uint8_t count = 0;
    while (count < thresholds.size() && bits[user % 4] >= thresholds[count]) ++count;
    out[user] = count;
  }
}

std::vector<std::vector<double>> Bootstrap::run(int32_t values, const Statistic& statistic) const {
  std::vector<std::vector<double>> replicates(values, std::vector<double>(options_.resamples));
  parallel_for(0, options_.resamples, 1, [&](int64_t begin, int64_t end) {
    std::vector<uint8_t> user_weights(users_);
    std::vector<double> out(values);
    for (int64_t resample = begin; resample < end; ++resample) {
      weights(static_cast<int32_t>(resample), user_weights);
      statistic(user_weights, out);
      for (int32_t k = 0; k < values; ++k) replicates[k][resample] = out[k];
    }
  });
  return replicates;
}

Interval interval_of(double value, std::span<const double> replicates) {
  std::vector<double> sorted;
  std::copy_if(replicates.begin(), replicates.end(), std::back_inserter(sorted),
               [](double x) { return !std::isnan(x); });
  if (sorted.empty()) return {value, kNan, kNan};
  std::sort(sorted.begin(), sorted.end());
  const auto percentile = [&](double share) {
    const double at = share * static_cast<double>(sorted.size() - 1);
    const size_t below = static_cast<size_t>(at);
    const size_t above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
  };
  return {value, percentile(0.025), percentile(0.975)};
}

double UserRatio::value() const {
  const double bottom = std::accumulate(denominator.begin(), denominator.end(), 0.0);
  const double top = std::accumulate(numerator.begin(), numerator.end(), 0.0);
  return bottom > 0 ? top / bottom : kNan;
}

double UserRatio::value(std::span<const uint8_t> weights) const {
  double top = 0, bottom = 0;
  for (size_t user = 0; user < weights.size(); ++user) {
    top += weights[user] * numerator[user];
    bottom += weights[user] * denominator[user];
  }
  return bottom > 0 ? top / bottom : kNan;
}

}  // namespace retort
