#include "retort/sim/long_video_policy.h"

#include <cmath>

namespace retort {

LongVideoPolicy::LongVideoPolicy(const LongVideoWorld& world, ShowType type, int32_t day)
    : world_(world), type_(type), first_(world.first_of(type)), alive_(world.alive(type, day)) {
  const auto alive = static_cast<size_t>(alive_), dim = static_cast<size_t>(world.dim());
  const auto first = static_cast<size_t>(first_);
  matrix_.resize((dim + 1) * alive);
  double total = 0;
  for (size_t i = 0; i < alive; ++i) {
    for (size_t k = 0; k < dim; ++k) matrix_[k * alive + i] = world.phi[(first + i) * dim + k];
    matrix_[dim * alive + i] = world.title[first + i];
    total += std::exp(static_cast<double>(world.log_popularity[first + i]));
  }
  double until = 0;
  for (size_t i = 0; i < alive; ++i) {
    const double log_pi = world.log_popularity[first + i] - std::log(total);
    log_pi_.push_back(static_cast<float>(log_pi));
    until += std::exp(log_pi);
    popular_until_.push_back(until);
  }
}

void LongVideoPolicy::fill(int32_t user, ExposureRow& row) const {
  const LongVideoConstants& c = world_.options.constants;
  const auto dim = static_cast<size_t>(world_.dim());
  const size_t from = static_cast<size_t>(user) * dim;
  std::vector<float> taste(dim + 1);  // 4 theta~, then the weight of the title
  double sum = 0;
  for (size_t k = 0; k < dim; ++k) {
    taste[k] = world_.click_taste[from + k] + world_.policy_noise[from + k];
    sum += static_cast<double>(taste[k]) * taste[k];
  }
  const double scale = c.policy_affinity / std::sqrt(std::max(sum, 1e-30));
  for (size_t k = 0; k < dim; ++k) taste[k] = static_cast<float>(taste[k] * scale);
  taste[dim] = static_cast<float>(c.policy_title);
  fill_exposures({.base = log_pi_.data(),
                  .matrix = matrix_.data(),
                  .stride = alive_,
                  .taste = taste.data(),
                  .dim = world_.dim() + 1},
                 alive_, row);
}

double LongVideoPolicy::exposure(const ExposureRow& row, int32_t item) const {
  if (item < first_ || item >= first_ + alive_) return 0;
  const LongVideoConstants& c = world_.options.constants;
  const auto i = static_cast<size_t>(item - first_);
  return c.policy_uniform / alive_ + c.policy_popular * std::exp(static_cast<double>(log_pi_[i])) +
         (1 - c.policy_uniform - c.policy_popular) * row.weights[i] / row.normaliser;
}

int32_t LongVideoPolicy::draw(const ExposureRow& row, const Rng& rng, uint64_t k) const {
  const LongVideoConstants& c = world_.options.constants;
  return first_ + draw_exposure(c.policy_uniform, c.policy_popular, popular_until_, row,
                                rng.uniform(2 * k), rng.uniform(2 * k + 1));
}

}  // namespace retort
