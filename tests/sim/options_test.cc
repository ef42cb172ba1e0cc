#include "retort/sim/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/recipe.h"

namespace retort {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// The laws of the default world are frozen: whoever changes a constant must say so here.
TEST(WorldOptions, DefaultConstantsAreFrozen) {
  EXPECT_EQ(constants_hash(world_options(Json::object())),
            "92572c8e5eb11913aaaea53d075bc76e37b0d4075ecff7b45c41a54388f0c8f6");
}

TEST(WorldOptions, HashKnowsLawsButNotSizesAndSeeds) {
  const std::string plain = constants_hash(world_options(Json::object()));
  const Json sizes{{"world", {{"users", 50}, {"items", 60}, {"days", 3}, {"seed", 9}}}};
  EXPECT_EQ(constants_hash(world_options(sizes)), plain);
  const Json law{{"world", {{"clickbait_penalty", 0.31}}}};
  EXPECT_NE(constants_hash(world_options(law)), plain);
}

TEST(WorldOptions, FeedRecipeUsesTheFrozenConstants) {
  const fs::path file = fs::path(RETORT_SOURCE) / "recipes/data/feed.toml";
  for (const char* preset : {"", "tiny", "quick", "small", "paper"}) {
    const WorldOptions options = world_options(load_recipe(file, preset, {}));
    EXPECT_EQ(constants_hash(options), constants_hash(WorldOptions())) << preset;
  }
  EXPECT_EQ(world_options(load_recipe(file, "tiny", {})).users, 600);
  EXPECT_EQ(world_options(load_recipe(file, "", {})).users, 8000);
}

TEST(WorldOptions, UnknownKeyNamesTheNearest) {
  const Json recipe{{"world", {{"click_rat", 0.1}}}};
  EXPECT_THAT([&] { world_options(recipe); }, ThrowsMessage<ConfigError>(HasSubstr("click_rate")));
}

TEST(WorldOptions, RefusesValuesOutOfRange) {
  const auto with = [](const char* key, const Json& value) {
    return Json{{"world", {{key, value}}}};
  };
  EXPECT_THAT([&] { world_options(with("users", 1)); },
              ThrowsMessage<ConfigError>(HasSubstr("world.users")));
  EXPECT_THAT([&] { world_options(with("policy_uniform", 0.9)); },
              ThrowsMessage<ConfigError>(HasSubstr("policy_popular")));
  EXPECT_THAT([&] { world_options(with("births_per_day", 0.4)); },
              ThrowsMessage<ConfigError>(HasSubstr("births_per_day")));
  EXPECT_THAT([&] { world_options(with("activity_shape", 2.5)); },
              ThrowsMessage<ConfigError>(HasSubstr("activity_shape")));
  EXPECT_THROW(world_options(with("variant", "upside_down")), ConfigError);
  EXPECT_THROW(world_options(with("start", "someday")), ConfigError);
}

TEST(WorldOptions, VariantsChangeTheConstantsTheyShould) {
  const auto variant = [](const char* name) {
    return world_options(Json{{"world", {{"variant", name}}}}).constants;
  };
  EXPECT_EQ(variant("null").read_affinity, 0);
  EXPECT_EQ(variant("null").patience_deviation, 0);
  EXPECT_EQ(variant("near_null").taste_correlation, 1);
  EXPECT_EQ(variant("near_null").read_affinity, 2);
  EXPECT_EQ(variant("reverse").read_noise, 0.1);
  EXPECT_EQ(variant("reverse").impressions_per_day, 250);
}

TEST(WorldOptions, SurviveARoundTrip) {
  const WorldOptions options =
      world_options(Json{{"world", {{"variant", "reverse"}, {"users", 77}, {"drift", false}}}});
  const WorldOptions again = world_options_from_json(to_json(options));
  EXPECT_EQ(to_json(again), to_json(options));
  EXPECT_EQ(again.constants.impressions_per_day, 250);  // not multiplied twice
}

}  // namespace
}  // namespace retort
