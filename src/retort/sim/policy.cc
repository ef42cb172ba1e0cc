#include "retort/sim/policy.h"

#include <algorithm>
#include <cmath>

namespace retort {
namespace {

int32_t last_below(const std::vector<double>& until, double target) {
  const auto at = std::upper_bound(until.begin(), until.end(), target);
  return static_cast<int32_t>(
      std::min<int64_t>(at - until.begin(), static_cast<int64_t>(until.size()) - 1));
}

}  // namespace

void fill_exposures(const AffineRow& affine, int64_t alive, ExposureRow& row) {
  row.weights.resize(static_cast<size_t>(alive));
  row.block_sums.resize(static_cast<size_t>((alive + kRowBlock - 1) / kRowBlock));
  exp_row(affine, alive, row.weights.data(), row.block_sums.data());
  row.normaliser = 0;
  for (const double sum : row.block_sums) row.normaliser += sum;
}

int32_t draw_exposure(double uniform, double popular, const std::vector<double>& popular_until,
                      const ExposureRow& row, double part, double place) {
  const auto alive = static_cast<int64_t>(row.weights.size());
  if (part < uniform) return static_cast<int32_t>(place * static_cast<double>(alive));
  if (part < uniform + popular) return last_below(popular_until, place * popular_until.back());
  double target = place * row.normaliser;
  size_t block = 0;
  while (block + 1 < row.block_sums.size() && target >= row.block_sums[block]) {
    target -= row.block_sums[block++];
  }
  const auto begin = static_cast<int64_t>(block) * kRowBlock;
  const int64_t end = std::min<int64_t>(begin + kRowBlock, alive);
  for (int64_t i = begin; i < end; ++i) {
    target -= row.weights[static_cast<size_t>(i)];
    if (target < 0) return static_cast<int32_t>(i);
  }
  return static_cast<int32_t>(end - 1);
}

std::vector<double> log_popularity(const World& world, int32_t day) {
  const auto alive = static_cast<size_t>(world.alive[static_cast<size_t>(day)]);
  std::vector<double> log_pi(alive);
  double total = 0;
  for (size_t i = 0; i < alive; ++i) {
    log_pi[i] = world.log_popularity[i];
    if (world.birth[i] > 0) {
      log_pi[i] -= (day - world.birth[i]) / world.options.constants.birth_decay_days;
    }
    total += std::exp(log_pi[i]);
  }
  for (double& value : log_pi) value -= std::log(total);
  return log_pi;
}

void policy_taste(const World& world, int32_t user, int32_t day, float* out) {
  const int32_t dim = world.dim();
  const float* taste = world.click_taste_of(user, day);
  const float* noise = world.policy_noise.data() + static_cast<int64_t>(user) * dim;
  double sum = 0;
  for (int32_t k = 0; k < dim; ++k) {
    out[k] = taste[k] + noise[k];
    sum += static_cast<double>(out[k]) * out[k];
  }
  const double scale = world.options.constants.policy_affinity / std::sqrt(std::max(sum, 1e-30));
  for (int32_t k = 0; k < dim; ++k) out[k] = static_cast<float>(out[k] * scale);
  out[dim] = static_cast<float>(world.options.constants.policy_title);
}

PolicyDay::PolicyDay(const World& world, int32_t day)
    : world_(world), day_(day), alive_(world.alive[static_cast<size_t>(day)]) {
  const WorldConstants& c = world.options.constants;
  const auto alive = static_cast<size_t>(alive_), dim = static_cast<size_t>(world.dim());
  uniform_ = c.policy_uniform / alive_;
  greedy_ = 1 - c.policy_uniform - c.policy_popular;
  matrix_.resize((dim + 1) * alive);
  for (size_t i = 0; i < alive; ++i) {
    for (size_t k = 0; k < dim; ++k) matrix_[k * alive + i] = world.phi[i * dim + k];
    matrix_[dim * alive + i] = world.title[i];
    heat_.push_back(world.hotness[static_cast<size_t>(day * world.options.categories) +
                                  static_cast<size_t>(world.category[i])]);
  }
  double until = 0;
  for (const double log_pi : retort::log_popularity(world, day)) {
    const double pi = std::exp(log_pi);
    until += pi;
    log_pi_.push_back(static_cast<float>(log_pi));
    popular_.push_back(static_cast<float>(c.policy_popular * pi));
    popular_until_.push_back(until);
  }
}

void PolicyDay::fill(int32_t user, Row& row) const {
  std::vector<float> taste(static_cast<size_t>(world_.dim()) + 1);
  policy_taste(world_, user, day_, taste.data());
  fill_exposures({.base = log_pi_.data(),
                  .matrix = matrix_.data(),
                  .stride = alive_,
                  .taste = taste.data(),
                  .dim = world_.dim() + 1},
                 alive_, row);
}

double PolicyDay::exposure(const Row& row, int32_t item) const {
  const auto i = static_cast<size_t>(item);
  return uniform_ + popular_[i] + greedy_ * row.weights[i] / row.normaliser;
}

int32_t PolicyDay::draw(const Row& row, double part, double place) const {
  const WorldConstants& c = world_.options.constants;
  return draw_exposure(c.policy_uniform, c.policy_popular, popular_until_, row, part, place);
}

void PolicyDay::click_probabilities(int32_t user, std::vector<float>& out) const {
  const auto u = static_cast<size_t>(user);
  const WorldConstants& c = world_.options.constants;
  const auto dim = static_cast<size_t>(world_.dim());
  std::vector<float> taste(dim + 1);
  const float* own = world_.click_taste_of(user, day_);
  for (size_t k = 0; k < dim; ++k) taste[k] = static_cast<float>(c.click_affinity) * own[k];
  taste[dim] = static_cast<float>(c.click_title) * world_.title_taste[u];
  out.resize(static_cast<size_t>(alive_));
  sigmoid_row({.base = heat_.data(),
               .matrix = matrix_.data(),
               .stride = alive_,
               .taste = taste.data(),
               .dim = world_.dim() + 1,
               .offset = static_cast<float>(world_.click_bias) + world_.user_bias[u]},
              alive_, out.data());
}

}  // namespace retort
