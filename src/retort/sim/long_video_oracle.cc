#include "retort/sim/long_video_oracle.h"

#include <algorithm>
#include <string>
#include <utility>

#include "retort/common/error.h"
#include "retort/common/thread_pool.h"
#include "retort/log/days.h"
#include "retort/sim/law.h"
#include "retort/sim/long_video_truth.h"
#include "retort/sim/world_keys.h"

namespace retort {
namespace {}  // namespace

LongVideoOracle::LongVideoOracle(const fs::path& world)
    : LongVideoOracle(read_long_video_truth(world / "truth")) {}

LongVideoOracle::LongVideoOracle(LongVideoWorld world)
    : world_(std::move(world)),
      roll_outs_(world_.options.seed),
      table_(world_.options.constants, roll_outs_) {}

void LongVideoOracle::check_range(int32_t user, int32_t item) const {
  check(user >= 0 && user < world_.users(), "LongVideoOracle: user {} of {}", user, world_.users());
  check(item >= 0 && item < world_.items(), "LongVideoOracle: item {} of {}", item, world_.items());
}

std::optional<int32_t> LongVideoOracle::find_user(std::string_view key) const {
  return number_of(key, 'u', 6, world_.users());
}

std::optional<int32_t> LongVideoOracle::find_item(std::string_view key) const {
  if (const auto tv = number_of(key, 't', 5, world_.options.tv)) return tv;
  const auto movie = number_of(key, 'm', 5, world_.options.movies);
  if (!movie) return std::nullopt;
  return world_.first_of(ShowType::kMovie) + *movie;
}

int32_t LongVideoOracle::day_of(int64_t time) const {
  const int64_t day = time < world_.start ? 0 : (time - world_.start) / kDay;
  return static_cast<int32_t>(std::min<int64_t>(day, world_.log_days() - 1));
}

bool LongVideoOracle::alive(int32_t item, int32_t day) const {
  check_range(0, item);
  return world_.birth[static_cast<size_t>(item)] <= day;
}

double LongVideoOracle::p_click(int32_t user, int32_t item) const {
  check_range(user, item);
  return sigmoid(world_.click_logit(user, item));
}

double LongVideoOracle::expected_dwm(int32_t user, int32_t item) const {
  check_range(user, item);
  return roll_outs_.expected_week(world_.options.constants, world_.show(item),
                                  world_.satisfaction(user, item),
                                  world_.open_rate[static_cast<size_t>(user)]);
}

double LongVideoOracle::quick_expected_dwm(int32_t user, int32_t item) const {
  check_range(user, item);
  return table_.expected_week(world_.show(item), world_.satisfaction(user, item),
                              world_.open_rate[static_cast<size_t>(user)]);
}

double LongVideoOracle::p_dwm_above(int32_t user, int32_t item, double minutes) const {
  check_range(user, item);
  return roll_outs_.probability_above(world_.options.constants, world_.show(item),
                                      world_.satisfaction(user, item),
                                      world_.open_rate[static_cast<size_t>(user)], minutes);
}

double LongVideoOracle::value(int32_t user, int32_t item) const {
  return p_click(user, item) * expected_dwm(user, item);
}

Viewing LongVideoOracle::outcome(int32_t user, int32_t item, int32_t day) const {
  check_range(user, item);
  constexpr double kMinute = 60e6;
  const LongVideoConstants& c = world_.options.constants;
  const Show show = world_.show(item);
  const double satisfaction = world_.satisfaction(user, item);
  Watching watching;
  Viewing viewing;
  viewing.first =
      first_playback(c, show, satisfaction, world_.watch_draws(user, item, day), watching);
  viewing.week = viewing.first;
  const int64_t end = world_.open_time(user, day) + 7 * kDay;
  for (int32_t later = day + 1; later <= day + 7 && !watching.abandoned; ++later) {
    if (!world_.opens(user, later)) continue;
    const double minutes =
        later_day(c, show, satisfaction, world_.watch_draws(user, item, later), watching).minutes;
    const auto left = static_cast<double>(end - world_.open_time(user, later)) / kMinute;
    viewing.week += std::min(minutes, std::max(0.0, left));
  }
  viewing.all = viewing.week;
  return viewing;
}

LongVideoScorer::LongVideoScorer(const LongVideoOracle& oracle, const Dataset& dataset)
    : oracle_(oracle), dataset_(dataset) {
  user_ = numbers_of(dataset.user_keys(), "user", dataset,
                     [&](std::string_view key) { return oracle.find_user(key); });
  item_ = numbers_of(dataset.item_keys(), "item", dataset,
                     [&](std::string_view key) { return oracle.find_item(key); });
  for (int32_t day = 0; day < oracle.world().log_days(); ++day) {
    for (const ShowType type : kShowTypes) policies_.emplace_back(oracle.world(), type, day);
  }
}

double LongVideoScorer::pair_score(int32_t user, int32_t item, std::string_view task) const {
  const double minutes = dataset_.read_threshold() / 60;
  if (task == "click") return oracle_.p_click(user, item);
  if (task == "dwm") return oracle_.value(user, item);
  if (task == "dwm_given_click") return oracle_.expected_dwm(user, item);
  const double read = oracle_.p_dwm_above(user, item, minutes);
  return task == "read" ? oracle_.p_click(user, item) * read : read;
}

void LongVideoScorer::score(const Batch& batch, std::string_view task, std::span<float> out) const {
  check(static_cast<int64_t>(out.size()) == batch.rows(), "LongVideoScorer: {} scores for {} rows",
        out.size(), batch.rows());
  constexpr std::string_view kTasks[] = {"click", "dwm", "dwm_given_click", "read",
                                         "read_given_click"};
  check(std::find(std::begin(kTasks), std::end(kTasks), task) != std::end(kTasks),
        "LongVideoScorer: task '{}': give click, dwm, dwm_given_click, read or read_given_click",
        task);
  parallel_for(0, batch.rows(), 64, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const auto row = static_cast<size_t>(r);
      out[row] = static_cast<float>(pair_score(user_[static_cast<size_t>(batch.user[row])],
                                               item_[static_cast<size_t>(batch.item[row])], task));
    }
  });
}

void LongVideoScorer::rank(LongVideoRanking ranking, int64_t event, std::span<const int32_t> items,
                           std::span<float> out) const {
  const auto at = static_cast<size_t>(event);
  const int32_t user = user_[static_cast<size_t>(dataset_.clicks().user[at])];
  const int32_t day = oracle_.day_of(dataset_.clicks().time[at]);
  const bool mass =
      ranking == LongVideoRanking::kClickMass || ranking == LongVideoRanking::kMinutesMass;
  const bool minutes =
      ranking == LongVideoRanking::kMinutes || ranking == LongVideoRanking::kMinutesMass;
  const LongVideoPolicy* policies = policies_.data() + 2 * static_cast<int64_t>(day);
  ExposureRow rows[2];
  for (size_t k = 0; k < items.size(); ++k) {
    const int32_t item = item_[static_cast<size_t>(items[k])];
    if (!oracle_.alive(item, day)) {
      out[k] = -1;
      continue;
    }
    double score = oracle_.p_click(user, item);
    if (minutes) score *= oracle_.quick_expected_dwm(user, item);
    if (mass) {
      const auto type = static_cast<size_t>(oracle_.world().type_of(item));
      if (rows[type].weights.empty()) policies[type].fill(user, rows[type]);
      score *= policies[type].exposure(rows[type], item);
    }
    out[k] = static_cast<float>(score);
  }
}

CandidateScorer LongVideoScorer::candidates(LongVideoRanking ranking) const {
  return [this, ranking](int64_t event, std::span<const int32_t> items, std::span<float> out) {
    rank(ranking, event, items, out);
  };
}

}  // namespace retort
