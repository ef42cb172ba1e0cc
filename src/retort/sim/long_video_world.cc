#include "retort/sim/long_video_world.h"

#include <algorithm>
#include <cmath>
#include <span>

#include <fmt/format.h>

#include "retort/common/text.h"
#include "retort/common/thread_pool.h"
#include "retort/log/days.h"
#include "retort/sim/directions.h"
#include "retort/sim/law.h"
#include "retort/sim/long_video_calibrate.h"

namespace retort {
namespace {

constexpr int32_t kAges = 6, kGenders = 2;
constexpr double kEpisodeMinutes[] = {22, 30, 45, 55};
constexpr double kLeastRuntime = 60, kMostRuntime = 180;

/// Number of one of `count` equally likely intervals of a standard normal variable.
int32_t quantile_bucket(double normal, int32_t count) {
  return std::min(static_cast<int32_t>(normal_cdf(normal) * count), count - 1);
}

/// The latents of one seed, drawn piece by piece.
class Builder {
 public:
  explicit Builder(const LongVideoOptions& options)
      : options_(options), c_(options.constants), d_(static_cast<size_t>(options.dimensions)) {
    world_.options = options;
    world_.start = parse_moment(options.start, "recipe key 'world.start'");
  }

  LongVideoWorld build() {
    genres_ = directions("genre", options_.genres);
    tags_ = directions("tag", options_.tags);
    demographics_ = directions("demographics", 2);
    for (const ShowType type : kShowTypes) shows(type);
    users();
    calibrate(world_);
    return std::move(world_);
  }

 private:
  Rng rng(std::string_view stream) const { return {options_.seed, stream}; }
  std::span<float> row(std::vector<float>& matrix, int64_t index) const {
    return {matrix.data() + static_cast<size_t>(index) * d_, d_};
  }

  std::vector<float> directions(std::string_view stream, int32_t count) const {
    std::vector<float> matrix(static_cast<size_t>(count) * d_, 0.0F);
    for (int32_t c = 0; c < count; ++c) {
      add_direction(rng(stream).fork(static_cast<uint64_t>(c)), 1.0, row(matrix, c));
    }
    return matrix;
  }

  void shows(ShowType type) {
    const int64_t count = world_.count_of(type), first = world_.first_of(type);
    const Permutation rank(static_cast<uint64_t>(count),
                           rng("popularity").fork(static_cast<uint64_t>(type)));
    world_.phi.resize(static_cast<size_t>(first + count) * d_, 0.0F);
    int32_t day = 0;
    for (int64_t i = 0; i < count; ++i) {
      while (i >= world_.alive(type, day)) ++day;
      const auto place = static_cast<double>(rank(static_cast<uint64_t>(i)) + 1);
      world_.birth.push_back(day);
      world_.log_popularity.push_back(
          static_cast<float>(-c_.popularity_exponent * std::log(place)));
      show(type, static_cast<uint64_t>(first + i));
    }
  }

  void show(ShowType type, uint64_t i) {
    const Rng own = rng("show").fork(i);
    const double q = own.normal(0);
    const double t =
        c_.title_quality * q + std::sqrt(1 - c_.title_quality * c_.title_quality) * own.normal(1);
    world_.quality.push_back(static_cast<float>(q));
    world_.title.push_back(static_cast<float>(t));
    if (type == ShowType::kMovie) {
      const double runtime = c_.runtime_mean + c_.runtime_deviation * own.normal(2);
      world_.unit.push_back(static_cast<float>(std::clamp(runtime, kLeastRuntime, kMostRuntime)));
      world_.episodes.push_back(1);
    } else {
      world_.unit.push_back(static_cast<float>(kEpisodeMinutes[own.below(4, 2)]));
      const double failures =
          c_.episodes_rate < 1
              ? std::floor(std::log(1 - own.uniform(3)) / std::log1p(-c_.episodes_rate))
              : 0;
      world_.episodes.push_back(static_cast<int32_t>(c_.episodes_least + failures));
    }
    genres(i);
    constexpr uint64_t kTenYears = 3650;
    const int32_t birth = world_.birth[i];
    const auto before = kDay * static_cast<int64_t>(1 + own.below(kTenYears, 4));
    world_.released.push_back(world_.start + (birth > 0 ? birth * kDay : -before));
  }

  /// One to three genres, the direction they give, and the list that is observed of them.
  void genres(uint64_t i) {
    const Rng own = rng("genres of a show").fork(i);
    const auto count = 1 + own.below(3, 0);
    const Permutation pick(static_cast<uint64_t>(options_.genres), own.fork(0));
    const auto phi = row(world_.phi, static_cast<int64_t>(i));
    for (uint64_t k = 0; k < count; ++k) {
      const auto genre = static_cast<int64_t>(pick(k));
      const auto direction = row(genres_, genre);
      for (size_t x = 0; x < d_; ++x) phi[x] += direction[x];
    }
    normalise(phi);
    for (float& value : phi) value *= static_cast<float>(c_.item_genre);
    add_direction(rng("show direction").fork(i), c_.item_noise, phi);
    normalise(phi);
    uint32_t seen = 0;
    for (uint64_t k = 0; k < count; ++k) {
      if (own.uniform(1 + k) < c_.genre_truth) seen |= uint32_t{1} << pick(k);
    }
    if (own.uniform(8) < c_.genre_error) {
      seen |= uint32_t{1} << own.below(static_cast<uint64_t>(options_.genres), 9);
    }
    if (seen == 0) seen = uint32_t{1} << pick(0);
    world_.genres_seen.push_back(seen);
  }

  void users() {
    const auto users = static_cast<size_t>(options_.users);
    for (auto* matrix : {&world_.click_taste, &world_.satisfaction_taste, &world_.policy_noise}) {
      matrix->assign(users * d_, 0.0F);
    }
    for (auto* column : {&world_.user_bias, &world_.open_rate}) column->assign(users, 0.0F);
    for (auto* column : {&world_.age, &world_.gender}) column->assign(users, 0);
    world_.genre_prefs.assign(users, 0);
    world_.tag_prefs.assign(users * kTasteTopics, 0);
    parallel_for(0, options_.users, 64, [this](int64_t begin, int64_t end) {
      for (int64_t u = begin; u < end; ++u) user(u);
    });
  }

  void user(int64_t u) {
    const auto index = static_cast<size_t>(u);
    const auto key = static_cast<uint64_t>(u);
    const Rng own = rng("user").fork(key);
    const auto click = row(world_.click_taste, u);
    const auto topics = draw_taste(genres_, c_.user_noise, rng("click taste").fork(key), click);
    const auto content = row(world_.satisfaction_taste, u);
    draw_taste(genres_, c_.user_noise, rng("satisfaction taste").fork(key), content);
    const auto rho = static_cast<float>(c_.taste_correlation);
    const float rest = std::sqrt(1 - rho * rho);
    for (size_t k = 0; k < d_; ++k) content[k] = rho * click[k] + rest * content[k];
    normalise(content);
    add_direction(rng("policy").fork(key), c_.policy_noise, row(world_.policy_noise, u));
    world_.user_bias[index] = static_cast<float>(c_.user_bias_deviation * own.normal(0));
    world_.open_rate[index] = static_cast<float>(
        beta_draw(c_.open_alpha, c_.open_beta, Draws(rng("opens of a user").fork(key)), 0));
    demographics(index, own, click);
    preferences(index, own, click, topics);
  }

  /// Age and gender are buckets of a projection of the taste of clicking, with noise.
  void demographics(size_t u, const Rng& own, std::span<const float> taste) {
    const double truth = c_.demographic_truth, rest = std::sqrt(1 - truth * truth);
    const double unit = std::sqrt(static_cast<double>(d_));  // a projection's deviation is 1 / unit
    const auto score = [&](int64_t direction, uint64_t position) {
      const float* axis = row(demographics_, direction).data();
      return truth * unit * dot(taste.data(), axis, options_.dimensions) +
             rest * own.normal(position);
    };
    world_.age[u] = quantile_bucket(score(0, 1), kAges);
    world_.gender[u] = quantile_bucket(score(1, 2), kGenders);
  }

  /// The topics of the taste, each replaced by any genre with probability .2; and the three tags
  /// that score highest by a noisy projection of the taste.
  void preferences(size_t u, const Rng& own, std::span<const float> taste,
                   std::span<const int32_t> topics) {
    for (uint64_t k = 0; k < kTasteTopics; ++k) {
      const auto any = own.below(static_cast<uint64_t>(options_.genres), 16 + k);
      const bool truly = own.uniform(20 + k) < c_.preference_truth;
      world_.genre_prefs[u] |= uint32_t{1} << (truly ? static_cast<uint64_t>(topics[k]) : any);
    }
    std::vector<std::pair<double, int32_t>> scores;
    const double unit = std::sqrt(static_cast<double>(d_));
    for (int32_t tag = 0; tag < options_.tags; ++tag) {
      const double noise = c_.tag_noise * own.normal(32 + static_cast<uint64_t>(tag));
      const float* axis = row(tags_, tag).data();
      scores.emplace_back(-(unit * dot(taste.data(), axis, options_.dimensions) + noise), tag);
    }
    std::partial_sort(scores.begin(), scores.begin() + kTasteTopics, scores.end());
    for (size_t k = 0; k < kTasteTopics; ++k) {
      world_.tag_prefs[u * kTasteTopics + k] = scores[k].second;
    }
  }

  const LongVideoOptions& options_;
  const LongVideoConstants& c_;
  size_t d_;
  std::vector<float> genres_, tags_, demographics_;  // [G, d], [tags, d], [2, d]
  LongVideoWorld world_;
};

Rng event_rng(const LongVideoWorld& world, std::string_view stream, int32_t user) {
  return Rng(world.options.log_seed, stream).fork(static_cast<uint64_t>(user));
}

}  // namespace

LongVideoWorld build_long_video_world(const LongVideoOptions& options) {
  options.validate();
  return Builder(options).build();
}

ShowType LongVideoWorld::type_of(int32_t item) const {
  return item < options.tv ? ShowType::kTv : ShowType::kMovie;
}

int32_t LongVideoWorld::first_of(ShowType type) const {
  return type == ShowType::kTv ? 0 : static_cast<int32_t>(options.tv);
}

int32_t LongVideoWorld::count_of(ShowType type) const {
  return static_cast<int32_t>(type == ShowType::kTv ? options.tv : options.movies);
}

int32_t LongVideoWorld::alive(ShowType type, int32_t day) const {
  const int32_t count = count_of(type), last = options.days - 1;
  const auto a_day = static_cast<int32_t>(std::llround(options.constants.births_per_day * count));
  return count - a_day * (last - std::min(day, last));
}

Show LongVideoWorld::show(int32_t item) const {
  const auto i = static_cast<size_t>(item);
  return {type_of(item) == ShowType::kMovie, unit[i], episodes[i]};
}

double LongVideoWorld::click_logit_centred(int32_t user, int32_t item) const {
  const float* taste = click_taste.data() + int64_t{user} * dim();
  return options.constants.click_affinity * dot(taste, phi.data() + int64_t{item} * dim(), dim()) +
         options.constants.click_title * title[static_cast<size_t>(item)] +
         user_bias[static_cast<size_t>(user)];
}

double LongVideoWorld::click_logit(int32_t user, int32_t item) const {
  return click_bias + click_logit_centred(user, item);
}

double LongVideoWorld::satisfaction(int32_t user, int32_t item) const {
  const LongVideoConstants& c = options.constants;
  const auto i = static_cast<size_t>(item);
  const float* taste = satisfaction_taste.data() + int64_t{user} * dim();
  const double bait = std::max(0.0, static_cast<double>(title[i]) - quality[i]);
  const double affinity = dot(taste, phi.data() + int64_t{item} * dim(), dim());
  return sigmoid(c.satisfaction_base + satisfaction_scale * (affinity - satisfaction_centre) +
                 c.satisfaction_quality * quality[i] - c.satisfaction_bait * bait);
}

bool LongVideoWorld::opens(int32_t user, int32_t day) const {
  return event_rng(*this, "opens", user).uniform(static_cast<uint64_t>(day)) <
         open_rate[static_cast<size_t>(user)];
}

int64_t LongVideoWorld::open_time(int32_t user, int32_t day) const {
  const auto into = event_rng(*this, "moments", user).below(kDay, static_cast<uint64_t>(day));
  return start + day * kDay + static_cast<int64_t>(into);
}

double LongVideoWorld::click_draw(int32_t user, int32_t item, int32_t day) const {
  return event_rng(*this, "click", user)
      .fork(static_cast<uint64_t>(day))
      .uniform(static_cast<uint64_t>(item));
}

Draws LongVideoWorld::watch_draws(int32_t user, int32_t item, int32_t day) const {
  return Draws(event_rng(*this, "watch", user)
                   .fork(static_cast<uint64_t>(item))
                   .fork(static_cast<uint64_t>(day)));
}

Draws LongVideoWorld::reaction_draws(int32_t user, int32_t item) const {
  return Draws(event_rng(*this, "reaction", user).fork(static_cast<uint64_t>(item)));
}

std::string LongVideoWorld::user_key(int64_t user) const { return fmt::format("u{:06}", user); }

std::string LongVideoWorld::item_key(int64_t item) const {
  const ShowType type = type_of(static_cast<int32_t>(item));
  return fmt::format("{}{:05}", type == ShowType::kTv ? 't' : 'm', item - first_of(type));
}

}  // namespace retort
