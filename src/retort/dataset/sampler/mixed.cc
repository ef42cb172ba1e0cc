#include "retort/dataset/sampler/mixed.h"

#include <cmath>

#include "retort/common/error.h"

namespace retort {
namespace {

constexpr uint64_t kCoin = 0x636f696e;  // stream of the choice between the two laws

double checked_share(double share) {
  if (!(share >= 0 && share <= 1))
    fail<ConfigError>("negatives.uniform_share: {} is no share; write 0 to 1", share);
  return share;
}

}  // namespace

MixedSampler::MixedSampler(const Dataset& dataset, double uniform_share, double exponent)
    : share_(checked_share(uniform_share)), uniform_(dataset), frequency_(dataset, exponent) {}

int32_t MixedSampler::draw(const Rng& rng, uint64_t position, int64_t time) const {
  if (rng.fork(kCoin).uniform(position) < share_) return uniform_.draw(rng, position, time);
  return frequency_.draw(rng, position, time);
}

double MixedSampler::log_q(int32_t item, int64_t time) const {
  return std::log(share_ * std::exp(uniform_.log_q(item, time)) +
                  (1 - share_) * std::exp(frequency_.log_q(item, time)));
}

std::unique_ptr<NegativeSampler> make_mixed(const Dataset& dataset, const SamplerOptions& options) {
  return std::make_unique<MixedSampler>(dataset, options.uniform_share, options.exponent);
}

}  // namespace retort
