// Negatives by popularity: the law of the paper's training set.
#pragma once

#include <memory>
#include <vector>

#include "retort/dataset/sampler/alias_table.h"
#include "retort/dataset/sampler/negative_sampler.h"

namespace retort {

/// q_i = count_i^exponent / sum_j count_j^exponent over the training clicks, at any moment; an
/// item without training clicks is never drawn, whatever the exponent.
/// Source: DMTL section 2.1 (exponent 1); Mikolov et al., NIPS 2013 (exponent 0.75).
/// Shapes: the law is over [items]; one draw costs O(1), any log_q O(1).
class FrequencySampler : public NegativeSampler {
 public:
  /// Throws DataError if the training split has no clicks, ConfigError for an exponent that is
  /// negative or not finite.
  FrequencySampler(const Dataset& dataset, double exponent);
  int32_t draw(const Rng& rng, uint64_t position, int64_t time) const override;
  double log_q(int32_t item, int64_t time) const override;

 private:
  std::vector<double> log_q_;  // [items]
  AliasTable table_;
};

/// Registry entry: exponent.
std::unique_ptr<NegativeSampler> make_frequency(const Dataset& dataset,
                                                const SamplerOptions& options);

}  // namespace retort
