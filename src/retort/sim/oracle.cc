#include "retort/sim/oracle.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "retort/common/error.h"
#include "retort/log/days.h"
#include "retort/sim/law.h"
#include "retort/sim/policy.h"
#include "retort/sim/world_keys.h"

namespace retort {
namespace {}  // namespace

Oracle::Oracle(const fs::path& world) : Oracle(read_truth(world / "truth")) {}

Oracle::Oracle(Truth truth) : truth_(std::move(truth)) {
  for (int32_t day = 0; day < world().days(); ++day) {
    // Item 0 is older than the log, so its weight knows no decay.
    log_pi_total_.push_back(world().log_popularity[0] - log_popularity(world(), day)[0]);
  }
}

void Oracle::check_range(int32_t user, int32_t item, int32_t day) const {
  check(user >= 0 && user < world().users(), "Oracle: user {} of {}", user, world().users());
  check(item >= 0 && item < world().items(), "Oracle: item {} of {}", item, world().items());
  check(day >= 0 && day < world().days(), "Oracle: day {} of {}", day, world().days());
}

std::optional<int32_t> Oracle::find_user(std::string_view key) const {
  return number_of(key, 'u', 6, world().users());
}

std::optional<int32_t> Oracle::find_item(std::string_view key) const {
  return number_of(key, 'i', 5, world().items());
}

int32_t Oracle::day_of(int64_t time) const {
  const int64_t day = time < world().start ? 0 : (time - world().start) / kDay;
  return static_cast<int32_t>(std::min<int64_t>(day, world().days() - 1));
}

bool Oracle::alive(int32_t item, int32_t day) const {
  check_range(0, item, day);
  return item < world().alive[static_cast<size_t>(day)];
}

double Oracle::p_click(int32_t user, int32_t item, int32_t day) const {
  check_range(user, item, day);
  return sigmoid(world().click_logit(user, item, day));
}

double Oracle::p_long(int32_t user, int32_t item, int32_t day, double threshold) const {
  check_range(user, item, day);
  return probability_longer(world().read_mean(user, item, day), world().read_noise, threshold,
                            world().options.constants.cap_seconds);
}

double Oracle::expected_seconds(int32_t user, int32_t item, int32_t day) const {
  check_range(user, item, day);
  return expected_capped(world().read_mean(user, item, day), world().read_noise,
                         world().options.constants.cap_seconds);
}

double Oracle::value(int32_t user, int32_t item, int32_t day) const {
  return p_click(user, item, day) * expected_seconds(user, item, day);
}

double Oracle::exposure(int32_t user, int32_t item, int32_t day) const {
  if (!alive(item, day)) return 0;
  check_range(user, item, day);
  const WorldConstants& c = world().options.constants;
  const auto i = static_cast<size_t>(item), d = static_cast<size_t>(day);
  double log_pi = world().log_popularity[i] - log_pi_total_[d];
  if (world().birth[i] > 0) log_pi -= (day - world().birth[i]) / c.birth_decay_days;

  const int32_t dim = world().dim();
  std::vector<float> taste(static_cast<size_t>(dim) + 1);
  policy_taste(world(), user, day, taste.data());
  const float* phi = world().phi.data() + static_cast<int64_t>(item) * dim;
  double logit = log_pi + static_cast<double>(taste[static_cast<size_t>(dim)]) * world().title[i];
  for (int32_t k = 0; k < dim; ++k)
    logit += static_cast<double>(taste[static_cast<size_t>(k)]) * phi[k];
  const double normaliser = masses().normaliser[static_cast<size_t>(day * world().users() + user)];
  return c.policy_uniform / world().alive[d] + c.policy_popular * std::exp(log_pi) +
         (1 - c.policy_uniform - c.policy_popular) * std::exp(logit) / normaliser;
}

double Oracle::click_mass(int32_t user, int32_t item, int32_t day) const {
  return world().activity[static_cast<size_t>(user)] * exposure(user, item, day) *
         p_click(user, item, day);
}

double Oracle::log_click_share(int32_t user, int32_t item, int32_t day) const {
  return std::log(click_mass(user, item, day)) -
         std::log(masses().user[static_cast<size_t>(day * world().users() + user)]);
}

double Oracle::pmi(int32_t user, int32_t item, int32_t day) const {
  if (!alive(item, day)) return -std::numeric_limits<double>::infinity();
  return log_click_share(user, item, day) -
         std::log(masses().item[static_cast<size_t>(day * world().items() + item)]) +
         std::log(masses().total[static_cast<size_t>(day)]);
}

double Oracle::best_read_score(int32_t user, int32_t item, int32_t day, double negatives,
                               double threshold) const {
  return sigmoid(pmi(user, item, day) - std::log(negatives)) * p_long(user, item, day, threshold);
}

bool Oracle::click_bait(int32_t item) const {
  check_range(0, item, 0);
  return world().click_bait[static_cast<size_t>(item)] != 0;
}

}  // namespace retort
