// Negatives without regard to popularity.
#pragma once

#include <memory>

#include "retort/dataset/sampler/negative_sampler.h"

namespace retort {

/// q_i = 1 / candidates for every item that may be recommended, at any moment; 0 for the others.
/// Source: Rendle et al., BPR, UAI 2009 (uniform draws of unobserved items).
/// Shapes: the law is over [items]; draw and log_q cost O(1).
class UniformSampler : public NegativeSampler {
 public:
  /// Throws DataError if there are no candidates. The dataset must outlive it.
  explicit UniformSampler(const Dataset& dataset);
  int32_t draw(const Rng& rng, uint64_t position, int64_t time) const override;
  double log_q(int32_t item, int64_t time) const override;

 private:
  const Dataset& dataset_;
};

/// Registry entry: no options.
std::unique_ptr<NegativeSampler> make_uniform(const Dataset& dataset,
                                              const SamplerOptions& options);

}  // namespace retort
