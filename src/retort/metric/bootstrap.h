// Bootstrap intervals by user: users are drawn again with replacement, all rows and events of a
// user together, because a user's rows are not independent.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "retort/common/rng.h"

namespace retort {

/// A statistic and its 95% percentile interval.
struct Interval {
  double value = 0, low = 0, high = 0;
};

struct BootstrapOptions {
  int32_t resamples = 200;
  uint64_t seed = 1;
};

/// Poisson bootstrap: in each resample a user counts Poisson(1) times. The weights depend on
/// (seed, resample, user) only, so that models are compared on the same resamples.
/// Source: Chamandy et al., "Estimating uncertainty for massive data streams", Google 2012;
/// Efron & Tibshirani 1993 (percentile interval).
class Bootstrap {
 public:
  Bootstrap(int64_t users, BootstrapOptions options);
  int32_t resamples() const { return options_.resamples; }
  int64_t users() const { return users_; }

  /// How often each user counts in resample `resample`. [users]
  void weights(int32_t resample, std::span<uint8_t> out) const;

  /// Calls `statistic(weights [users], out [values])` once a resample, in parallel.
  /// @return [values][resamples]
  using Statistic = std::function<void(std::span<const uint8_t> weights, std::span<double> out)>;
  std::vector<std::vector<double>> run(int32_t values, const Statistic& statistic) const;

 private:
  int64_t users_;
  BootstrapOptions options_;
  Rng rng_;
};

/// Percentiles 2.5 and 97.5 (linear between order statistics) of the replicates that are numbers;
/// NaN where there is none.
Interval interval_of(double value, std::span<const double> replicates);

/// A metric that is a ratio of sums over users, such as a mean over events.
struct UserRatio {
  std::vector<double> numerator, denominator;  // [users]
  /// NaN if the denominators sum to 0.
  double value() const;
  double value(std::span<const uint8_t> weights) const;
};

}  // namespace retort
