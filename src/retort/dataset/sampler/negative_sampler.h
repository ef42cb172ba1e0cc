// Negative samplers: which items stand for "not clicked". One interface, one table of entries.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "retort/common/rng.h"
#include "retort/dataset/dataset.h"

namespace retort {

/// Options shared by the entries; those an entry does not use must be left at their defaults.
struct SamplerOptions {
  double exponent = 1.0;     // q_i proportional to count^exponent
  int64_t window = 0;        // microseconds of trailing clicks; 0 = training clicks, all of them
  double uniform_share = 0;  // "mixed": probability of a uniform draw
};

/// Draws negatives and knows their probability: at each moment a law over the catalogue, [items].
/// Thread-safe. Source: named by each entry of the registry.
class NegativeSampler {
 public:
  virtual ~NegativeSampler() = default;
  /// One item of the catalogue at moment `time`, a function of (rng, position) only.
  virtual int32_t draw(const Rng& rng, uint64_t position, int64_t time) const = 0;
  /// Natural logarithm of the probability that `draw` gives `item` at `time`; -inf if never.
  virtual double log_q(int32_t item, int64_t time) const = 0;
};

struct SamplerEntry {
  std::string_view name, summary, source;
  std::unique_ptr<NegativeSampler> (*make)(const Dataset&, const SamplerOptions&);
};
/// All entries: frequency, uniform, mixed, trailing.
std::span<const SamplerEntry> samplers();
/// Throws ConfigError listing the known names.
std::unique_ptr<NegativeSampler> make_sampler(const std::string& name, const Dataset& dataset,
                                              const SamplerOptions& options);

}  // namespace retort
