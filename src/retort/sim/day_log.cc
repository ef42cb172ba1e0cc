#include "retort/sim/day_log.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include <fmt/format.h>

#include "retort/log/days.h"
#include "retort/sim/law.h"
#include "retort/sim/row_kernel.h"

namespace retort {
namespace {

Rng user_day(const World& world, std::string_view stream, int32_t user, int32_t day) {
  return Rng(world.options.log_seed, stream)
      .fork(static_cast<uint64_t>(user))
      .fork(static_cast<uint64_t>(day));
}

/// One slot of a request: decides the click and the seconds, writes the row.
void simulate_slot(const World& world, int32_t user, int32_t item, int32_t day, int32_t request,
                   int32_t position, int64_t time, double propensity, BlockLog& log) {
  const int32_t slot = request * world.options.slots + position - 1;
  const double click = examination(position) * sigmoid(world.click_logit(user, item, day));
  const bool clicked = world.click_draw(user, item, day, slot) < click;
  log.tally.expected_clicks += click;
  ++log.tally.impressions;
  auto out = std::back_inserter(log.rows);
  fmt::format_to(out, "r{:02}-{:06}-{:03},u{:06},i{:05},{},{},{},", day, user, request, user, item,
                 time, position, clicked);
  float seconds = std::numeric_limits<float>::quiet_NaN();
  if (clicked) {
    seconds = static_cast<float>(world.seconds(user, item, day, slot));
    log.tally.seconds.push_back(seconds);
    fmt::format_to(out, "{}", seconds);
  }
  const Interactions done = world.interactions(user, item, day, slot, seconds);
  log.tally.shares += done.shared;
  log.tally.follows += done.followed;
  log.tally.dismissals += done.dismissed;
  fmt::format_to(out, ",{},{},{},{}\n", static_cast<float>(propensity), done.shared, done.followed,
                 done.dismissed);
}

}  // namespace

void LogTally::add(const LogTally& other) {
  requests += other.requests;
  impressions += other.impressions;
  expected_clicks += other.expected_clicks;
  shares += other.shares;
  follows += other.follows;
  dismissals += other.dismissals;
  seconds.insert(seconds.end(), other.seconds.begin(), other.seconds.end());
}

int64_t poisson(const Rng& rng, double mean) {
  constexpr double kPart = 100;
  int64_t count = 0;
  for (uint64_t part = 0; mean > 0; ++part, mean -= kPart) {
    const double lambda = std::min(mean, kPart);
    const double draw = rng.uniform(part);
    double term = std::exp(-lambda), until = term;
    for (int64_t k = 1; draw >= until && term > 0; ++k) {
      term *= lambda / static_cast<double>(k);
      until += term;
      ++count;
    }
  }
  return count;
}

std::vector<int64_t> request_times(const World& world, int32_t user, int32_t day) {
  const double mean = world.activity[static_cast<size_t>(user)] *
                      world.options.constants.impressions_per_day / world.options.slots;
  const auto count = poisson(user_day(world, "requests", user, day), mean);
  const Rng moments = user_day(world, "moments", user, day);
  std::vector<int64_t> times;
  for (int64_t r = 0; r < count; ++r) {
    times.push_back(world.start + day * kDay +
                    static_cast<int64_t>(moments.below(kDay, static_cast<uint64_t>(r))));
  }
  std::sort(times.begin(), times.end());
  return times;
}

void simulate_block(const World& world, const PolicyDay& policy, int64_t begin, int64_t end,
                    BlockLog& log, Masses& masses) {
  const int32_t day = policy.day();
  log.item_mass.assign(static_cast<size_t>(policy.alive()), 0.0);
  PolicyDay::Row row;
  std::vector<float> clicks;
  for (int64_t u = begin; u < end; ++u) {
    const auto user = static_cast<int32_t>(u);
    const auto at = static_cast<size_t>(day * world.users() + u);
    policy.fill(user, row);
    policy.click_probabilities(user, clicks);
    masses.normaliser[at] = row.normaliser;
    masses.user[at] =
        add_masses(policy.popular().data(), row.weights.data(), clicks.data(), policy.alive(),
                   policy.uniform(), policy.greedy_share() / row.normaliser,
                   world.activity[static_cast<size_t>(u)], log.item_mass.data());
    const Rng exposures = user_day(world, "exposures", user, day);
    int32_t request = 0;
    for (const int64_t time : request_times(world, user, day)) {
      ++log.tally.requests;
      for (int32_t position = 1; position <= world.options.slots; ++position) {
        const auto draw = 2 * static_cast<uint64_t>(request * world.options.slots + position - 1);
        const int32_t item = policy.draw(row, exposures.uniform(draw), exposures.uniform(draw + 1));
        simulate_slot(world, user, item, day, request, position, time, policy.exposure(row, item),
                      log);
      }
      ++request;
    }
  }
}

}  // namespace retort
