#include "retort/sim/world.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include <fmt/format.h>

#include "retort/common/error.h"
#include "retort/common/text.h"
#include "retort/common/thread_pool.h"
#include "retort/log/days.h"
#include "retort/sim/calibrate.h"
#include "retort/sim/directions.h"
#include "retort/sim/law.h"

namespace retort {
namespace {

int32_t bucket(double x, double low, double step, int32_t count) {
  return std::clamp(static_cast<int32_t>(std::floor((x - low) / step)), 0, count - 1);
}

/// q_author: N(0, 1).
double author_quality(uint64_t seed, uint64_t author) {
  return Rng(seed, "author").normal(2 * author);
}

/// The latents of one seed, drawn piece by piece.
class Builder {
 public:
  explicit Builder(const WorldOptions& options)
      : options_(options), c_(options.constants), d_(static_cast<size_t>(options.dimensions)) {
    world_.options = options;
    world_.start = parse_moment(options.start, "recipe key 'world.start'");
  }

  World build() {
    topics();
    births();
    items();
    mark_click_bait();
    users();
    drift();
    hotness();
    calibrate(world_);
    return std::move(world_);
  }

 private:
  Rng rng(std::string_view stream) const { return {options_.seed, stream}; }
  std::span<float> row(std::vector<float>& matrix, int64_t index) const {
    return {matrix.data() + static_cast<size_t>(index) * d_, d_};
  }

  void topics() {
    topics_.assign(static_cast<size_t>(options_.categories) * d_, 0.0F);
    for (int32_t c = 0; c < options_.categories; ++c) {
      add_direction(rng("topic").fork(static_cast<uint64_t>(c)), 1.0, row(topics_, c));
    }
  }

  void births() {
    const int64_t items = options_.items;
    const int64_t a_day =
        options_.drift ? std::llround(c_.births_per_day * static_cast<double>(items)) : 0;
    const int64_t at_start = items - a_day * (options_.days - 1);
    world_.birth.assign(static_cast<size_t>(items), 0);
    for (int64_t i = at_start; i < items; ++i) {
      world_.birth[static_cast<size_t>(i)] = static_cast<int32_t>(1 + (i - at_start) / a_day);
    }
    for (int32_t day = 0; day < options_.days; ++day) {
      world_.alive.push_back(static_cast<int32_t>(at_start + a_day * day));
    }
    const Rng age = rng("published");
    for (size_t i = 0; i < world_.birth.size(); ++i) {
      const int64_t before = kDay + static_cast<int64_t>(age.below(59 * kDay, i));
      world_.published.push_back(world_.birth[i] > 0 ? world_.start + world_.birth[i] * kDay
                                                     : world_.start - before);
    }
  }

  void items() {
    const auto items = static_cast<size_t>(options_.items);
    const auto authors = static_cast<uint64_t>(options_.authors);
    const bool plain = options_.variant == "near_null";  // q = t = 0
    const double quality_rest = std::sqrt(1 - c_.quality_author * c_.quality_author);
    const double title_own = std::sqrt(1 - c_.title_quality * c_.title_quality);
    const double title_rest = std::sqrt(1 - c_.title_author * c_.title_author);
    const Rng item = rng("item"), author_rng = rng("author");
    const Permutation rank(items, rng("popularity"));
    world_.phi.assign(items * d_, 0.0F);
    for (uint64_t i = 0; i < items; ++i) {
      const Rng own = item.fork(i);
      const auto category = own.below(static_cast<uint64_t>(options_.categories), 0);
      const auto author = own.below(authors, 1);
      const double q = plain ? 0
                             : c_.quality_author * author_quality(options_.seed, author) +
                                   quality_rest * own.normal(2);
      const double t = plain
                           ? 0
                           : c_.title_quality * q +
                                 title_own * (c_.title_author * author_rng.normal(2 * author + 1) +
                                              title_rest * own.normal(3));
      const double length = c_.length_deviation * own.normal(4);
      const auto phi = row(world_.phi, static_cast<int64_t>(i));
      const auto topic = row(topics_, static_cast<int64_t>(category));
      for (size_t k = 0; k < d_; ++k) phi[k] = static_cast<float>(c_.item_category) * topic[k];
      add_direction(rng("item direction").fork(i), c_.item_noise, phi);
      normalise(phi);
      world_.category.push_back(static_cast<int32_t>(category));
      world_.author.push_back(static_cast<int32_t>(author));
      world_.quality.push_back(static_cast<float>(q));
      world_.title.push_back(static_cast<float>(t));
      world_.length.push_back(static_cast<float>(length));
      world_.log_popularity.push_back(
          static_cast<float>(-c_.popularity_exponent * std::log(static_cast<double>(rank(i) + 1))));
      world_.title_style.push_back(bucket(t + c_.title_noise * own.normal(5), -2.0, 0.4, 10));
      world_.length_bucket.push_back(bucket(length, -0.6, 0.15, 8));
    }
  }

  void mark_click_bait() {
    const size_t items = world_.title.size();
    const auto promise = [&](int32_t i) {
      return world_.title[static_cast<size_t>(i)] - world_.quality[static_cast<size_t>(i)];
    };
    std::vector<int32_t> order(items);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t a, int32_t b) { return promise(a) > promise(b); });
    world_.click_bait.assign(items, 0);
    for (size_t place = 0; place < (items + 9) / 10; ++place) {
      if (promise(order[place]) > 0) world_.click_bait[static_cast<size_t>(order[place])] = 1;
    }
  }

  /// Returns the main topic.
  int32_t taste(const Rng& own, std::span<float> out) const {
    return draw_taste(topics_, c_.user_noise, own, out)[0];
  }

  void users() {
    const auto users = static_cast<size_t>(options_.users);
    world_.click_taste.assign(static_cast<size_t>(options_.days) * users * d_, 0.0F);
    world_.read_taste.assign(users * d_, 0.0F);
    world_.policy_noise.assign(users * d_, 0.0F);
    for (auto* column :
         {&world_.activity, &world_.title_taste, &world_.user_bias, &world_.patience})
      column->assign(users, 0.0F);
    world_.segment.assign(users, 0);
    world_.region.assign(users, 0);
    parallel_for(0, options_.users, 64, [this](int64_t begin, int64_t end) {
      for (int64_t u = begin; u < end; ++u) user(u);
    });
  }

  void user(int64_t u) {
    const auto index = static_cast<size_t>(u);
    const auto key = static_cast<uint64_t>(u);
    const Rng own = rng("user").fork(key);
    const auto click = row(world_.click_taste, u);  // day 0
    const int32_t main = taste(rng("click taste").fork(key), click);
    const auto read = row(world_.read_taste, u);
    taste(rng("read taste").fork(key), read);
    const auto rho = static_cast<float>(c_.taste_correlation);
    const float rest = std::sqrt(1 - rho * rho);
    for (size_t k = 0; k < d_; ++k) read[k] = rho * click[k] + rest * read[k];
    normalise(read);
    add_direction(rng("policy").fork(key), c_.policy_noise, row(world_.policy_noise, u));

    const auto shape = static_cast<uint64_t>(c_.activity_shape);
    double activity = 0;
    for (uint64_t s = 0; s < shape; ++s) activity -= std::log(1 - own.uniform(16 + s));
    world_.activity[index] = static_cast<float>(activity / static_cast<double>(shape));
    const double spread = c_.title_taste_deviation;
    world_.title_taste[index] =
        static_cast<float>(std::exp(spread * own.normal(0) - 0.5 * spread * spread));
    world_.user_bias[index] = static_cast<float>(c_.user_bias_deviation * own.normal(1));
    world_.patience[index] = static_cast<float>(c_.patience_deviation * own.normal(2));
    world_.segment[index] =
        own.uniform(3) < c_.segment_truth
            ? main
            : static_cast<int32_t>(own.below(static_cast<uint64_t>(options_.categories), 4));
    world_.region[index] =
        static_cast<int32_t>(own.below(static_cast<uint64_t>(options_.regions), 5));
  }

  void drift() {
    const int64_t users = options_.users;
    const double step = options_.drift ? c_.drift_step : 0;
    const auto keep = static_cast<float>(std::sqrt(1 - step * step));
    const Rng moves = rng("drift");
    parallel_for(0, users, 64, [&](int64_t begin, int64_t end) {
      for (int64_t u = begin; u < end; ++u) {
        for (int32_t day = 1; day < options_.days; ++day) {
          const auto before = row(world_.click_taste, (day - 1) * users + u);
          const auto now = row(world_.click_taste, day * users + u);
          for (size_t k = 0; k < d_; ++k) now[k] = step > 0 ? keep * before[k] : before[k];
          if (step == 0) continue;
          add_direction(moves.fork(static_cast<uint64_t>(u)).fork(static_cast<uint64_t>(day)), step,
                        now);
          normalise(now);
        }
      }
    });
  }

  void hotness() {
    const auto categories = static_cast<size_t>(options_.categories);
    const double deviation = options_.drift ? c_.hotness_deviation : 0;
    const double memory = c_.hotness_memory, fresh = std::sqrt(1 - memory * memory);
    const Rng heat = rng("hotness");
    std::vector<double> now(categories);
    for (int32_t day = 0; day < options_.days; ++day) {
      for (size_t c = 0; c < categories; ++c) {
        const double draw = heat.fork(c).normal(static_cast<uint64_t>(day));
        now[c] = day == 0 ? deviation * draw : memory * now[c] + fresh * deviation * draw;
        world_.hotness.push_back(static_cast<float>(now[c]));
      }
    }
  }

  const WorldOptions& options_;
  const WorldConstants& c_;
  size_t d_;
  std::vector<float> topics_;  // [C, d] mu
  World world_;
};

Rng event_rng(const World& world, std::string_view stream, int32_t user, int32_t day) {
  return Rng(world.options.log_seed, stream)
      .fork(static_cast<uint64_t>(user))
      .fork(static_cast<uint64_t>(day));
}

uint64_t event_position(int32_t item, int32_t slot) {
  return (static_cast<uint64_t>(slot) << 32) | static_cast<uint32_t>(item);
}

}  // namespace

World build_world(const WorldOptions& options) {
  options.validate();
  return Builder(options).build();
}

const float* World::click_taste_of(int32_t user, int32_t day) const {
  return click_taste.data() + (day * users() + user) * dim();
}

const float* World::read_taste_of(int32_t user, int32_t day) const {
  // With rho = 1 the two tastes are one, so that of reading drifts along.
  if (options.constants.taste_correlation == 1) return click_taste_of(user, day);
  return read_taste.data() + static_cast<int64_t>(user) * dim();
}

double World::click_logit(int32_t user, int32_t item, int32_t day) const {
  const auto u = static_cast<size_t>(user), i = static_cast<size_t>(item);
  const auto heat = static_cast<size_t>(int64_t{day} * options.categories + category[i]);
  return click_bias +
         options.constants.click_affinity *
             dot(click_taste_of(user, day), phi.data() + i * static_cast<size_t>(dim()), dim()) +
         options.constants.click_title * title_taste[u] * title[i] + user_bias[u] + hotness[heat];
}

double World::read_mean_centred(int32_t user, int32_t item, int32_t day) const {
  const auto u = static_cast<size_t>(user), i = static_cast<size_t>(item);
  const WorldConstants& c = options.constants;
  const double bait = std::max(0.0, static_cast<double>(title[i]) - quality[i]);
  return c.read_affinity *
             dot(read_taste_of(user, day), phi.data() + i * static_cast<size_t>(dim()), dim()) +
         c.read_quality * quality[i] - c.clickbait_penalty * bait + length[i] + patience[u];
}

double World::read_mean(int32_t user, int32_t item, int32_t day) const {
  return read_bias + read_mean_centred(user, item, day);
}

double World::click_draw(int32_t user, int32_t item, int32_t day, int32_t slot) const {
  return event_rng(*this, "click", user, day).uniform(event_position(item, slot));
}

double World::read_draw(int32_t user, int32_t item, int32_t day, int32_t slot) const {
  return event_rng(*this, "seconds", user, day).normal(event_position(item, slot));
}

double World::seconds(int32_t user, int32_t item, int32_t day, int32_t slot) const {
  const double log_seconds =
      read_mean(user, item, day) + read_noise * read_draw(user, item, day, slot);
  return std::min(std::exp(log_seconds), options.constants.cap_seconds);
}

namespace {

double affinity(const World& world, int32_t user, int32_t item, int32_t day) {
  return dot(world.read_taste_of(user, day), world.phi.data() + int64_t{item} * world.dim(),
             world.dim());
}

}  // namespace

double World::share_logit(int32_t user, int32_t item, int32_t day, double seconds) const {
  const InteractionConstants& c = options.interactions;
  const double taste = Rng(options.seed, "share taste").normal(static_cast<uint64_t>(user));
  return c.share_bias + c.share_seconds * std::log(seconds / 50) +
         c.share_affinity * affinity(*this, user, item, day) + c.share_taste * taste;
}

double World::follow_logit(int32_t item) const {
  const InteractionConstants& c = options.interactions;
  const auto of_item = static_cast<uint64_t>(author[static_cast<size_t>(item)]);
  const double quality = options.variant == "near_null" ? 0 : author_quality(options.seed, of_item);
  return c.follow_bias + c.follow_author * quality;
}

double World::dismiss_logit(int32_t user, int32_t item, int32_t day) const {
  const InteractionConstants& c = options.interactions;
  return c.dismiss_bias + c.dismiss_affinity * affinity(*this, user, item, day) +
         c.dismiss_title * title[static_cast<size_t>(item)];
}

Interactions World::interactions(int32_t user, int32_t item, int32_t day, int32_t slot,
                                 double seconds) const {
  const auto happens = [&](std::string_view stream, double logit) {
    return event_rng(*this, stream, user, day).uniform(event_position(item, slot)) < sigmoid(logit);
  };
  Interactions done;
  done.dismissed = happens("dismiss", dismiss_logit(user, item, day));
  if (std::isnan(seconds)) return done;
  done.shared = happens("share", share_logit(user, item, day, seconds));
  done.followed = done.shared && happens("follow", follow_logit(item));
  return done;
}

std::string World::user_key(int64_t user) const { return fmt::format("u{:06}", user); }
std::string World::item_key(int64_t item) const { return fmt::format("i{:05}", item); }

}  // namespace retort
