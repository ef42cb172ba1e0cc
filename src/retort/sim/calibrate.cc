#include "retort/sim/calibrate.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "retort/common/error.h"
#include "retort/common/thread_pool.h"
#include "retort/sim/bisect.h"
#include "retort/sim/law.h"
#include "retort/sim/policy.h"

namespace retort {
namespace {

constexpr int64_t kUserDays = 8192, kDraws = 32;

struct Exposures {
  std::vector<double> weight, logit, read;  // activity; eta and m without their constants
};

Exposures draw_exposures(const World& world) {
  const int64_t users = world.users(), days = world.days();
  const int64_t count = std::min(kUserDays, users * days);
  std::vector<PolicyDay> policy;
  policy.reserve(static_cast<size_t>(days));
  for (int32_t day = 0; day < days; ++day) policy.emplace_back(world, day);
  Exposures all;
  for (auto* column : {&all.weight, &all.logit, &all.read}) {
    column->resize(static_cast<size_t>(count * kDraws));
  }
  const Rng rng(world.options.seed, "calibration");
  parallel_for(0, count, 16, [&](int64_t begin, int64_t end) {
    PolicyDay::Row row;
    for (int64_t s = begin; s < end; ++s) {
      // Every user about equally often, on days that run through the log.
      const auto user = static_cast<int32_t>(users <= count ? s % users : s * users / count);
      const auto day =
          static_cast<int32_t>(users <= count ? (s % users + s / users) % days : s % days);
      const PolicyDay& today = policy[static_cast<size_t>(day)];
      today.fill(user, row);
      const Rng own = rng.fork(static_cast<uint64_t>(s));
      for (int64_t k = 0; k < kDraws; ++k) {
        const auto at = static_cast<size_t>(s * kDraws + k);
        const auto position = static_cast<uint64_t>(2 * k);
        const int32_t item = today.draw(row, own.uniform(position), own.uniform(position + 1));
        all.weight[at] = world.activity[static_cast<size_t>(user)];
        all.logit[at] = world.click_logit(user, item, day);
        all.read[at] = world.read_mean_centred(user, item, day);
      }
    }
  });
  return all;
}

}  // namespace

void calibrate(World& world) {
  const WorldConstants& c = world.options.constants;
  world.click_bias = world.read_bias = 0;
  const Exposures shown = draw_exposures(world);
  const size_t n = shown.weight.size();

  double examined = 0, activity = 0;
  for (int32_t k = 1; k <= world.options.slots; ++k) examined += examination(k);
  examined /= world.options.slots;
  for (const double weight : shown.weight) activity += weight;
  if (c.click_rate >= examined) {
    fail<ConfigError>(
        "recipe key 'world.click_rate' is {}: with {} slots at most {:.3f} of the "
        "impressions are looked at",
        c.click_rate, world.options.slots, examined);
  }
  world.click_bias = bisect(-40, 40, [&](double b0) {
    double clicks = 0;
    for (size_t e = 0; e < n; ++e) clicks += shown.weight[e] * sigmoid(b0 + shown.logit[e]);
    return clicks * examined / activity - c.click_rate;
  });

  std::vector<double> click(n);  // click mass of each exposure
  double total = 0, mean = 0, square = 0;
  for (size_t e = 0; e < n; ++e) {
    click[e] = shown.weight[e] * sigmoid(world.click_bias + shown.logit[e]);
    total += click[e];
    mean += click[e] * shown.read[e];
  }
  mean /= total;
  for (size_t e = 0; e < n; ++e) square += click[e] * std::pow(shown.read[e] - mean, 2);
  const double rest = c.log_seconds_deviation * c.log_seconds_deviation - square / total;
  if (c.read_noise == 0 && rest <= 0) {
    fail<ConfigError>(
        "recipe key 'world.log_seconds_deviation' is {}: the means of ln T alone spread by {:.3f}, "
        "as "
        "happens where few items draw most clicks; take another 'world.seed' or more items, raise "
        "it, or give 'world.read_noise'",
        c.log_seconds_deviation, std::sqrt(square / total));
  }
  world.read_noise = c.read_noise > 0 ? c.read_noise : std::sqrt(rest);
  const double log_median = std::log(c.median_seconds);
  world.read_bias = bisect(log_median - 40, log_median + 40, [&](double m0) {
    double above = 0;
    for (size_t e = 0; e < n; ++e) {
      above += click[e] * normal_cdf((m0 + shown.read[e] - log_median) / world.read_noise);
    }
    return above / total - 0.5;
  });
}

}  // namespace retort
