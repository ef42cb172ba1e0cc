// Negatives by popularity with a share of uniform ones, so that rare items are pushed down too.
#pragma once

#include <memory>

#include "retort/dataset/sampler/frequency.h"
#include "retort/dataset/sampler/uniform.h"

namespace retort {

/// q_i = share / candidates + (1 - share) * count_i^exponent / sum_j count_j^exponent.
/// Source: Yang et al., "Mixed negative sampling for learning two-tower neural networks in
/// recommendations", WWW 2020.
/// Shapes: the law is over [items]; draw and log_q cost O(1).
class MixedSampler : public NegativeSampler {
 public:
  /// `uniform_share` in [0, 1]; ConfigError otherwise.
  MixedSampler(const Dataset& dataset, double uniform_share, double exponent);
  int32_t draw(const Rng& rng, uint64_t position, int64_t time) const override;
  double log_q(int32_t item, int64_t time) const override;

 private:
  double share_;
  UniformSampler uniform_;
  FrequencySampler frequency_;
};

/// Registry entry: uniform_share, exponent.
std::unique_ptr<NegativeSampler> make_mixed(const Dataset& dataset, const SamplerOptions& options);

}  // namespace retort
