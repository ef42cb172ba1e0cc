#include "retort/dataset/sampler/uniform.h"

#include <cmath>
#include <limits>

#include "retort/common/error.h"

namespace retort {

UniformSampler::UniformSampler(const Dataset& dataset) : dataset_(dataset) {
  if (dataset.candidates().empty())
    fail<DataError>("{}: there are no items that could be candidates", dataset.folder().string());
}

int32_t UniformSampler::draw(const Rng& rng, uint64_t position, int64_t) const {
  const auto candidates = dataset_.candidates();
  return candidates[rng.below(candidates.size(), position)];
}

double UniformSampler::log_q(int32_t item, int64_t) const {
  check(item >= 0 && item < dataset_.items(), "log_q: item {} of {}", item, dataset_.items());
  if (!dataset_.is_candidate(item)) return -std::numeric_limits<double>::infinity();
  return -std::log(static_cast<double>(dataset_.candidates().size()));
}

std::unique_ptr<NegativeSampler> make_uniform(const Dataset& dataset, const SamplerOptions&) {
  return std::make_unique<UniformSampler>(dataset);
}

}  // namespace retort
