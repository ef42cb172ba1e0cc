#include "retort/sim/long_video_calibrate.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "retort/common/error.h"
#include "retort/common/thread_pool.h"
#include "retort/sim/bisect.h"
#include "retort/sim/directions.h"
#include "retort/sim/law.h"
#include "retort/sim/long_video_day.h"

namespace retort {
namespace {

constexpr int64_t kPairs = 65'536, kPilotUsers = 2048, kPilotBlocks = 16;
constexpr int32_t kPilotDays = 10, kPilotRounds = 4;

double mean_of(const std::vector<double>& x) {
  double mean = 0;
  for (const double value : x) mean += value / static_cast<double>(x.size());
  return mean;
}

double deviation(const std::vector<double>& x) {
  const double mean = mean_of(x);
  double square = 0;
  for (const double value : x) square += (value - mean) * (value - mean);
  return std::sqrt(square / static_cast<double>(x.size()));
}

double correlation(const std::vector<double>& x, const std::vector<double>& y) {
  const auto n = static_cast<double>(x.size());
  const double mean_x = mean_of(x), mean_y = mean_of(y);
  double product = 0;
  for (size_t k = 0; k < x.size(); ++k) product += (x[k] - mean_x) * (y[k] - mean_y) / n;
  return product / (deviation(x) * deviation(y));
}

/// <theta_s, phi> of random pairs.
std::vector<double> affinities(const LongVideoWorld& world) {
  const Rng rng(world.options.seed, "calibration");
  const int32_t dim = world.dim();
  std::vector<double> affinity(kPairs);
  for (uint64_t k = 0; k < kPairs; ++k) {
    const auto user = rng.below(static_cast<uint64_t>(world.users()), 2 * k);
    const auto item = rng.below(static_cast<uint64_t>(world.items()), 2 * k + 1);
    affinity[k] = dot(world.satisfaction_taste.data() + static_cast<int64_t>(user) * dim,
                      world.phi.data() + static_cast<int64_t>(item) * dim, dim);
  }
  return affinity;
}

/// An impression's examination and its logit without b0.
struct Exposure {
  double examined, logit;
};

std::vector<Exposure> pilot(const LongVideoWorld& world) {
  const int64_t users = std::min(world.users(), kPilotUsers);
  const int32_t days = std::min(world.log_days(), kPilotDays);
  Audience audience(static_cast<size_t>(users));
  LiveRanker ranker = make_live_ranker(world);
  std::vector<Exposure> exposures;
  for (int32_t day = 0; day < days; ++day) {
    const LongVideoDay today(world, ranker, day);
    std::vector<LongVideoBlock> blocks(kPilotBlocks);
    parallel_for(0, kPilotBlocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        today.simulate(b * users / kPilotBlocks, (b + 1) * users / kPilotBlocks, audience,
                       blocks[static_cast<size_t>(b)]);
      }
    });
    for (const LongVideoBlock& block : blocks) {
      for (const Shown& shown : block.shown) {
        exposures.push_back(
            {examination(shown.position), world.click_logit_centred(shown.user, shown.item)});
      }
    }
    learn_day(blocks, ranker);
  }
  return exposures;
}

}  // namespace

void calibrate(LongVideoWorld& world) {
  const LongVideoConstants& c = world.options.constants;
  const std::vector<double> affinity = affinities(world);
  world.satisfaction_centre = mean_of(affinity);
  world.satisfaction_scale = c.satisfaction_affinity / deviation(affinity);
  double examined = 0;
  for (int32_t k = 1; k <= world.options.slots; ++k) {
    examined += examination(k) / world.options.slots;
  }
  if (c.click_rate >= examined) {
    fail<ConfigError>(
        "recipe key 'world.click_rate' is {}: with {} slots at most {:.3f} of the impressions are "
        "looked at",
        c.click_rate, world.options.slots, examined);
  }
  world.click_bias = std::log(c.click_rate / (examined - c.click_rate));
  for (int32_t round = 0; round < kPilotRounds; ++round) {
    const std::vector<Exposure> exposures = pilot(world);
    if (exposures.empty()) return;  // nobody of so few users opened: the first guess stands
    world.click_bias = bisect(-40, 40, [&](double b0) {
      double clicks = 0;
      for (const Exposure& exposure : exposures) {
        clicks += exposure.examined * sigmoid(b0 + exposure.logit);
      }
      return clicks / static_cast<double>(exposures.size()) - c.click_rate;
    });
  }
}

Json measure_watching(const LongVideoWorld& world, ShowType type, int64_t pairs) {
  constexpr size_t kMonth = 30;
  const auto n = static_cast<size_t>(pairs);
  std::vector<double> first(n), week(n), month(n), title(n), satisfaction(n);
  const Rng rng = Rng(world.options.seed, "measure").fork(static_cast<uint64_t>(type));
  parallel_for(0, pairs, 256, [&](int64_t begin, int64_t end) {
    for (auto k = static_cast<uint64_t>(begin); k < static_cast<uint64_t>(end); ++k) {
      const Rng own = rng.fork(k);
      const auto user = static_cast<int32_t>(own.below(static_cast<uint64_t>(world.users()), 0));
      const auto of_type = own.below(static_cast<uint64_t>(world.count_of(type)), 1);
      const int32_t item = world.first_of(type) + static_cast<int32_t>(of_type);
      std::vector<Draws> days;
      for (uint64_t day = 0; day <= kMonth; ++day) days.emplace_back(own.fork(day));
      satisfaction[k] = world.satisfaction(user, item);
      const Viewing viewing = roll_out(world.options.constants, world.show(item), satisfaction[k],
                                       world.open_rate[static_cast<size_t>(user)], days);
      first[k] = viewing.first;
      week[k] = viewing.week;
      month[k] = viewing.all;
      title[k] = world.title[static_cast<size_t>(item)];
    }
  });
  const double mean = mean_of(week);
  Json json{{"pairs", pairs},
            {"dwm_mean", mean},
            {"dwm_deviation", deviation(week)},
            {"familiar_share", 1 - mean_of(first) / mean},
            {"corr_week_month", correlation(week, month)},
            {"corr_first_week", correlation(first, week)},
            {"corr_title_week", correlation(title, week)},
            {"satisfaction_mean", mean_of(satisfaction)}};
  std::sort(week.begin(), week.end());
  json["dwm_p99"] = week[n * 99 / 100];
  return json;
}

}  // namespace retort
