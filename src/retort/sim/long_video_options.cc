#include "retort/sim/long_video_options.h"

#include <array>

#include "retort/common/error.h"
#include "retort/common/file.h"
#include "retort/common/recipe.h"
#include "retort/common/text.h"
#include "retort/sim/world_key.h"

namespace retort {
namespace {

struct Constant {
  const char* key;
  double LongVideoConstants::*field;
  double low, high;
};

using C = LongVideoConstants;
constexpr std::array kConstants{
    Constant{"item_genre", &C::item_genre, 0, 10},
    Constant{"item_noise", &C::item_noise, 0.01, 10},
    Constant{"title_quality", &C::title_quality, -1, 1},
    Constant{"popularity_exponent", &C::popularity_exponent, 0, 3},
    Constant{"episodes_least", &C::episodes_least, 1, 1000},
    Constant{"episodes_rate", &C::episodes_rate, 0.001, 1},
    Constant{"runtime_mean", &C::runtime_mean, 10, 600},
    Constant{"runtime_deviation", &C::runtime_deviation, 0, 100},
    Constant{"births_per_day", &C::births_per_day, 0, 0.1},
    Constant{"user_noise", &C::user_noise, 0, 10},
    Constant{"taste_correlation", &C::taste_correlation, -1, 1},
    Constant{"user_bias_deviation", &C::user_bias_deviation, 0, 5},
    Constant{"open_alpha", &C::open_alpha, 0.1, 100},
    Constant{"open_beta", &C::open_beta, 0.1, 100},
    Constant{"click_affinity", &C::click_affinity, 0, 20},
    Constant{"click_title", &C::click_title, -5, 5},
    Constant{"click_rate", &C::click_rate, 1e-4, 0.4},
    Constant{"satisfaction_base", &C::satisfaction_base, -10, 10},
    Constant{"satisfaction_affinity", &C::satisfaction_affinity, 0, 10},
    Constant{"satisfaction_quality", &C::satisfaction_quality, -5, 5},
    Constant{"satisfaction_bait", &C::satisfaction_bait, -5, 5},
    Constant{"start_base", &C::start_base, 0, 1},
    Constant{"start_satisfaction", &C::start_satisfaction, 0, 1},
    Constant{"next_episode", &C::next_episode, 0, 1},
    Constant{"partial_low", &C::partial_low, 0, 1},
    Constant{"partial_high", &C::partial_high, 0, 1},
    Constant{"movie_spread", &C::movie_spread, 0.1, 100},
    Constant{"movie_finished", &C::movie_finished, 0.1, 1},
    Constant{"resume", &C::resume, 0, 1},
    Constant{"abandon", &C::abandon, 0, 1},
    Constant{"rewatch", &C::rewatch, 0, 1},
    Constant{"like", &C::like, 0, 1},
    Constant{"dislike", &C::dislike, 0, 1},
    Constant{"save", &C::save, 0, 1},
    Constant{"policy_uniform", &C::policy_uniform, 0.001, 1},
    Constant{"policy_popular", &C::policy_popular, 0, 1},
    Constant{"policy_affinity", &C::policy_affinity, 0, 20},
    Constant{"policy_title", &C::policy_title, -5, 5},
    Constant{"policy_noise", &C::policy_noise, 0, 10},
    Constant{"ranker_memory", &C::ranker_memory, 0, 1},
    Constant{"ranker_show_prior", &C::ranker_show_prior, 0.1, 1e6},
    Constant{"ranker_user_prior", &C::ranker_user_prior, 0.1, 1e6},
    Constant{"ranker_minutes_prior", &C::ranker_minutes_prior, 0.1, 1e6},
    Constant{"click_share_tv", &C::click_share_tv, 0.001, 0.999},
    Constant{"click_share_movies", &C::click_share_movies, 0.001, 0.999},
    Constant{"genre_truth", &C::genre_truth, 0, 1},
    Constant{"genre_error", &C::genre_error, 0, 1},
    Constant{"preference_truth", &C::preference_truth, 0, 1},
    Constant{"tag_noise", &C::tag_noise, 0, 10},
    Constant{"demographic_truth", &C::demographic_truth, 0, 1},
};

LongVideoOptions read_options(const Json& root) {
  LongVideoOptions options;
  Fields fields(root, "world");
  std::string kind = "long_video";
  fields.read_choice("kind", kind, {"feed", "long_video"});
  fields.read("users", options.users);
  fields.read("tv", options.tv);
  fields.read("movies", options.movies);
  fields.read("days", options.days);
  fields.read("attribution_days", options.attribution_days);
  fields.read("dimensions", options.dimensions);
  fields.read("genres", options.genres);
  fields.read("tags", options.tags);
  fields.read("slots", options.slots);
  fields.read("start", options.start);
  fields.read("seed", options.seed);
  fields.read("log_seed", options.log_seed);
  for (const Constant& constant : kConstants) {
    fields.read(constant.key, options.constants.*constant.field);
  }
  fields.finish();
  options.validate();
  return options;
}

}  // namespace

void LongVideoOptions::validate() const {
  check_world_key<int64_t>("users", users, 2, 999'999);
  check_world_key<int64_t>("tv", tv, 10, 49'999);
  check_world_key<int64_t>("movies", movies, 10, 49'999);
  check_world_key<int32_t>("days", days, 1, 400);
  check_world_key<int32_t>("attribution_days", attribution_days, 0, 400);
  check_world_key<int32_t>("dimensions", dimensions, 2, 128);
  check_world_key<int32_t>("genres", genres, 3, 32);
  check_world_key<int32_t>("tags", tags, 3, 1000);
  check_world_key<int32_t>("slots", slots, 1, 10);
  parse_moment(start, "recipe key 'world.start'");
  for (const Constant& constant : kConstants) {
    check_world_key(constant.key, constants.*constant.field, constant.low, constant.high);
  }
  const LongVideoConstants& c = constants;
  const auto at_most_one = [](const char* first, const char* second, double sum) {
    if (sum > 1 + 1e-9) {
      fail<ConfigError>("recipe keys 'world.{}' + 'world.{}' are {}: they must not exceed 1", first,
                        second, sum);
    }
  };
  at_most_one("policy_uniform", "policy_popular", c.policy_uniform + c.policy_popular);
  at_most_one("start_base", "start_satisfaction", c.start_base + c.start_satisfaction);
  at_most_one("like", "dislike", c.like + c.dislike);
  if (c.partial_low > c.partial_high) {
    fail<ConfigError>("recipe key 'world.partial_low' is {}: it must not exceed 'partial_high' {}",
                      c.partial_low, c.partial_high);
  }
  if (c.episodes_least != static_cast<int>(c.episodes_least)) {
    fail<ConfigError>("recipe key 'world.episodes_least' is {}: give a whole number",
                      c.episodes_least);
  }
  if (c.births_per_day * (days - 1) > 0.9) {
    fail<ConfigError>(
        "recipe key 'world.births_per_day' is {}: over {} days more than nine tenths of the shows "
        "would be born in the log; lower it or 'world.days'",
        c.births_per_day, days);
  }
}

bool is_long_video(const Json& recipe) {
  return recipe.contains("world") && recipe["world"].value("kind", "") == "long_video";
}

LongVideoOptions long_video_options(const Json& recipe) { return read_options(recipe); }

Json constants_json(const LongVideoOptions& options) {
  Json json;
  json["kind"] = "long_video";
  json["dimensions"] = options.dimensions;
  json["genres"] = options.genres;
  json["tags"] = options.tags;
  json["slots"] = options.slots;
  for (const Constant& constant : kConstants) {
    json[constant.key] = options.constants.*constant.field;
  }
  return json;
}

std::string constants_hash(const LongVideoOptions& options) {
  return sha256(constants_json(options).dump());
}

Json to_json(const LongVideoOptions& options) {
  Json json{{"users", options.users},
            {"tv", options.tv},
            {"movies", options.movies},
            {"days", options.days},
            {"attribution_days", options.attribution_days},
            {"start", options.start},
            {"seed", options.seed},
            {"log_seed", options.log_seed}};
  json.update(constants_json(options));
  return json;
}

LongVideoOptions long_video_options_from_json(const Json& json) {
  return read_options(Json{{"world", json}});
}

}  // namespace retort
