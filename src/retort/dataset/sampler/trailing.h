// Negatives from the catalogue alive at the moment: what was clicked by anyone just before.
#pragma once

#include <memory>
#include <utility>

#include "retort/dataset/sampler/frequency.h"

namespace retort {

/// q_i(t) = clicks of i in [t - window, t) / all clicks in [t - window, t), of every split: they
/// lie strictly before t. Where the window is empty: the frequency law with exponent 1.
/// Drawn as the item of a uniformly chosen click of the window.
/// Source: DMTL section 2.1 (click frequency), restricted to a trailing window of live items.
/// Shapes: the law is over [items] for each time; draw and log_q cost two binary searches.
class TrailingSampler : public NegativeSampler {
 public:
  /// Throws ConfigError if the window (microseconds) is not positive or the dataset has no time.
  TrailingSampler(const Dataset& dataset, int64_t window);
  int32_t draw(const Rng& rng, uint64_t position, int64_t time) const override;
  double log_q(int32_t item, int64_t time) const override;

 private:
  /// Places in a sorted list of times of those in [time - window, time).
  std::pair<int64_t, int64_t> range(std::span<const int64_t> times, int64_t time) const;

  const Dataset& dataset_;
  int64_t window_;
  Timeline item_clicks_;
  FrequencySampler frequency_;
};

/// Registry entry: window.
std::unique_ptr<NegativeSampler> make_trailing(const Dataset& dataset,
                                               const SamplerOptions& options);

}  // namespace retort
