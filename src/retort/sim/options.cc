#include "retort/sim/options.h"

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
  double WorldConstants::*field;
  double low, high;
};

using C = WorldConstants;
constexpr std::array kConstants{
    Constant{"item_category", &C::item_category, 0, 10},
    Constant{"item_noise", &C::item_noise, 0.01, 10},
    Constant{"quality_author", &C::quality_author, 0, 1},
    Constant{"title_quality", &C::title_quality, -1, 1},
    Constant{"title_author", &C::title_author, 0, 1},
    Constant{"length_deviation", &C::length_deviation, 0, 5},
    Constant{"popularity_exponent", &C::popularity_exponent, 0, 3},
    Constant{"user_noise", &C::user_noise, 0, 10},
    Constant{"taste_correlation", &C::taste_correlation, -1, 1},
    Constant{"title_taste_deviation", &C::title_taste_deviation, 0, 2},
    Constant{"user_bias_deviation", &C::user_bias_deviation, 0, 5},
    Constant{"patience_deviation", &C::patience_deviation, 0, 5},
    Constant{"activity_shape", &C::activity_shape, 1, 8},
    Constant{"click_affinity", &C::click_affinity, 0, 20},
    Constant{"click_title", &C::click_title, -5, 5},
    Constant{"click_rate", &C::click_rate, 1e-4, 0.4},
    Constant{"read_affinity", &C::read_affinity, 0, 20},
    Constant{"read_quality", &C::read_quality, -5, 5},
    Constant{"clickbait_penalty", &C::clickbait_penalty, -5, 5},
    Constant{"median_seconds", &C::median_seconds, 1, 1e5},
    Constant{"log_seconds_deviation", &C::log_seconds_deviation, 0.01, 10},
    Constant{"read_noise", &C::read_noise, 0, 10},
    Constant{"cap_seconds", &C::cap_seconds, 1, 1e7},
    Constant{"drift_step", &C::drift_step, 0, 1},
    Constant{"hotness_memory", &C::hotness_memory, 0, 0.999},
    Constant{"hotness_deviation", &C::hotness_deviation, 0, 5},
    Constant{"births_per_day", &C::births_per_day, 0, 0.5},
    Constant{"birth_decay_days", &C::birth_decay_days, 0.1, 1000},
    Constant{"policy_uniform", &C::policy_uniform, 0, 1},
    Constant{"policy_popular", &C::policy_popular, 0, 1},
    Constant{"policy_affinity", &C::policy_affinity, 0, 20},
    Constant{"policy_title", &C::policy_title, -5, 5},
    Constant{"policy_noise", &C::policy_noise, 0, 10},
    Constant{"impressions_per_day", &C::impressions_per_day, 0.1, 1000},
    Constant{"segment_truth", &C::segment_truth, 0, 1},
    Constant{"title_noise", &C::title_noise, 0, 10},
};

/// The null, near-null and reverse worlds of methods E5 as changes of constants.
void apply_variant(WorldOptions& options) {
  WorldConstants& c = options.constants;
  if (options.variant == "null" || options.variant == "near_null") {
    c.read_quality = c.clickbait_penalty = c.length_deviation = c.patience_deviation = 0;
  }
  if (options.variant == "null") c.read_affinity = 0;
  if (options.variant == "near_null") c.taste_correlation = 1;
  if (options.variant == "reverse") {
    c.read_noise = 0.1;
    c.impressions_per_day *= 10;
  }
}

void read_options(Fields& fields, WorldOptions& options) {
  fields.read("users", options.users);
  fields.read("items", options.items);
  fields.read("days", options.days);
  fields.read("dimensions", options.dimensions);
  fields.read("categories", options.categories);
  fields.read("authors", options.authors);
  fields.read("regions", options.regions);
  fields.read("slots", options.slots);
  fields.read("start", options.start);
  fields.read("seed", options.seed);
  fields.read("log_seed", options.log_seed);
  std::string kind = "feed";
  fields.read_choice("kind", kind, {"feed", "long_video"});
  fields.read_choice("variant", options.variant, {"feed", "null", "near_null", "reverse"});
  fields.read("drift", options.drift);
  for (const Constant& constant : kConstants) {
    fields.read(constant.key, options.constants.*constant.field);
  }
  fields.sub("interactions");
  fields.finish();
  options.validate();
}

}  // namespace

void WorldOptions::validate() const {
  check_world_key<int64_t>("users", users, 2, 999'999);
  check_world_key<int64_t>("items", items, 10, 99'999);
  check_world_key<int32_t>("days", days, 1, 90);
  check_world_key<int32_t>("dimensions", dimensions, 2, 128);
  check_world_key<int32_t>("categories", categories, 3, 1000);
  check_world_key<int32_t>("authors", authors, 1, 100'000);
  check_world_key<int32_t>("regions", regions, 1, 1000);
  check_world_key<int32_t>("slots", slots, 1, 100);
  parse_moment(start, "recipe key 'world.start'");
  for (const Constant& constant : kConstants) {
    check_world_key(constant.key, constants.*constant.field, constant.low, constant.high);
  }
  if (constants.activity_shape != static_cast<int>(constants.activity_shape)) {
    fail<ConfigError>("recipe key 'world.activity_shape' is {}: give a whole number",
                      constants.activity_shape);
  }
  if (constants.policy_uniform + constants.policy_popular > 1) {
    fail<ConfigError>(
        "recipe keys 'world.policy_uniform' + 'world.policy_popular' are {}: the shares of the "
        "policy must not exceed 1",
        constants.policy_uniform + constants.policy_popular);
  }
  if (drift && constants.births_per_day * (days - 1) > 0.9) {
    fail<ConfigError>(
        "recipe key 'world.births_per_day' is {}: over {} days more than nine tenths of the items "
        "would be born in the log; lower it or 'world.days'",
        constants.births_per_day, days);
  }
}

WorldOptions world_options(const Json& recipe) {
  WorldOptions options;
  Fields fields(recipe, "world");
  read_options(fields, options);
  options.interactions = read_interactions(recipe);
  apply_variant(options);
  return options;
}

Json constants_json(const WorldOptions& options) {
  Json json;
  json["variant"] = options.variant;
  json["drift"] = options.drift;
  json["dimensions"] = options.dimensions;
  json["categories"] = options.categories;
  json["authors"] = options.authors;
  json["slots"] = options.slots;
  for (const Constant& constant : kConstants) {
    json[constant.key] = options.constants.*constant.field;
  }
  return json;
}

std::string constants_hash(const WorldOptions& options) {
  return sha256(constants_json(options).dump());
}

Json to_json(const WorldOptions& options) {
  Json json{{"users", options.users},      {"items", options.items}, {"days", options.days},
            {"regions", options.regions},  {"start", options.start}, {"seed", options.seed},
            {"log_seed", options.log_seed}};
  json.update(constants_json(options));
  json["interactions"] = to_json(options.interactions);
  return json;
}

WorldOptions world_options_from_json(const Json& json) {
  WorldOptions options;
  const Json recipe{{"world", json}};
  Fields fields(recipe, "world");
  read_options(fields, options);
  options.interactions = read_interactions(recipe);
  return options;
}

}  // namespace retort
