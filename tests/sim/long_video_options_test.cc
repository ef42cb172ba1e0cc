#include "retort/sim/long_video_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/recipe.h"

namespace retort {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

Json world(const Json& keys) {
  Json recipe{{"world", {{"kind", "long_video"}}}};
  recipe["world"].update(keys);
  return recipe;
}

// The laws of the default world are frozen: whoever changes a constant must say so here.
TEST(LongVideoOptions, DefaultConstantsAreFrozen) {
  EXPECT_EQ(constants_hash(long_video_options(world(Json::object()))),
            "e79d34a30cc8390eda6ee30a8c0d9268ad36c1467e8b80465565b62e8f987a80");
}

TEST(LongVideoOptions, HashKnowsLawsButNotSizesAndSeeds) {
  const std::string plain = constants_hash(LongVideoOptions());
  EXPECT_EQ(constants_hash(long_video_options(world({{"users", 50}, {"tv", 60}, {"seed", 9}}))),
            plain);
  EXPECT_NE(constants_hash(long_video_options(world({{"resume", 0.7}}))), plain);
}

TEST(LongVideoOptions, RecipeUsesTheFrozenConstants) {
  const fs::path file = fs::path(RETORT_SOURCE) / "recipes/data/long_video.toml";
  for (const char* preset : {"", "tiny", "small", "paper"}) {
    const Json recipe = load_recipe(file, preset, {});
    EXPECT_TRUE(is_long_video(recipe));
    EXPECT_EQ(constants_hash(long_video_options(recipe)), constants_hash(LongVideoOptions()))
        << preset;
  }
  const LongVideoOptions tiny = long_video_options(load_recipe(file, "tiny", {}));
  EXPECT_EQ(tiny.users, 500);
  EXPECT_EQ(tiny.items(), 320);
  EXPECT_EQ(tiny.days, 14);
}

TEST(LongVideoOptions, AFeedIsAnotherKind) {
  EXPECT_FALSE(is_long_video(Json{{"world", {{"users", 5}}}}));
  EXPECT_FALSE(is_long_video(Json::object()));
}

TEST(LongVideoOptions, UnknownKeyNamesTheNearest) {
  EXPECT_THAT(
      [&] {
        long_video_options(world({{"resum", 0.1}}));
      },
      ThrowsMessage<ConfigError>(HasSubstr("resume")));
}

TEST(LongVideoOptions, RefusesValuesOutOfRange) {
  const auto refuses = [](const Json& keys, const char* message) {
    EXPECT_THAT([&] { long_video_options(world(keys)); },
                ThrowsMessage<ConfigError>(HasSubstr(message)));
  };
  refuses({{"users", 1}}, "world.users");
  refuses({{"tv", 5}}, "world.tv");
  refuses({{"genres", 33}}, "world.genres");
  refuses({{"policy_uniform", 0.9}}, "policy_popular");
  refuses({{"start_base", 0.9}}, "start_satisfaction");
  refuses({{"partial_low", 0.8}}, "partial_high");
  refuses({{"births_per_day", 0.05}}, "births_per_day");
  refuses({{"kind", "radio"}}, "kind");
  refuses({{"start", "someday"}}, "world.start");
}

TEST(LongVideoOptions, SurviveARoundTrip) {
  const LongVideoOptions options = long_video_options(world({{"users", 77}, {"abandon", 0.2}}));
  EXPECT_EQ(to_json(long_video_options_from_json(to_json(options))), to_json(options));
}

}  // namespace
}  // namespace retort
