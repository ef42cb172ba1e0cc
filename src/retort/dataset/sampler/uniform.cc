#include "retort/dataset/sampler/uniform.h"

#include <cmath>

#include "retort/common/error.h"

namespace retort {

UniformSampler::UniformSampler(const Dataset& dataset)
    : items_(static_cast<uint64_t>(dataset.items())) {
  if (items_ == 0) fail<DataError>("{}: there are no items", dataset.folder().string());
}

int32_t UniformSampler::draw(const Rng& rng, uint64_t position, int64_t) const {
  return static_cast<int32_t>(rng.below(items_, position));
}

double UniformSampler::log_q(int32_t item, int64_t) const {
  check(item >= 0 && static_cast<uint64_t>(item) < items_, "log_q: item {} of {}", item, items_);
  return -std::log(static_cast<double>(items_));
}

std::unique_ptr<NegativeSampler> make_uniform(const Dataset& dataset, const SamplerOptions&) {
  return std::make_unique<UniformSampler>(dataset);
}

}  // namespace retort
