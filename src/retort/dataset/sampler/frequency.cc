#include "retort/dataset/sampler/frequency.h"

#include <cmath>

#include "retort/common/error.h"

namespace retort {
namespace {

std::vector<double> weights_of(const Dataset& dataset, double exponent) {
  if (!std::isfinite(exponent) || exponent < 0)
    fail<ConfigError>("negatives.exponent: {} is no exponent; write 0 or more", exponent);
  std::vector<double> weights;
  double sum = 0;
  for (const int64_t count : dataset.train_clicks()) {
    weights.push_back(count > 0 ? std::pow(static_cast<double>(count), exponent) : 0.0);
    sum += weights.back();
  }
  if (!(sum > 0))
    fail<DataError>("{}: the training split has no clicks, so no item has a click frequency",
                    dataset.folder().string());
  for (double& weight : weights) weight /= sum;
  return weights;
}

}  // namespace

FrequencySampler::FrequencySampler(const Dataset& dataset, double exponent)
    : log_q_(weights_of(dataset, exponent)), table_(log_q_) {
  for (double& value : log_q_) value = std::log(value);  // log 0 = -infinity: never drawn
}

int32_t FrequencySampler::draw(const Rng& rng, uint64_t position, int64_t) const {
  return table_.draw(rng, position);
}

double FrequencySampler::log_q(int32_t item, int64_t) const {
  check(item >= 0 && item < static_cast<int64_t>(log_q_.size()), "log_q: item {} of {}", item,
        log_q_.size());
  return log_q_[static_cast<size_t>(item)];
}

std::unique_ptr<NegativeSampler> make_frequency(const Dataset& dataset,
                                                const SamplerOptions& options) {
  return std::make_unique<FrequencySampler>(dataset, options.exponent);
}

}  // namespace retort
