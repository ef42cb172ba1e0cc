// Arms whose order is known, recipes that mean nothing, and the command.
#include "retort/study/abtest.h"

#include <cmath>
#include <functional>

#include "tests/cli/executable.h"
#include "tests/study/abtest_platform.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/recipe.h"
#include "retort/common/thread_pool.h"

namespace retort {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

const AbDifference& difference(const AbTestResult& result, const std::string& section,
                               const std::string& metric) {
  for (const AbSection& at : result.sections)
    for (const AbDifference& found : at.differences)
      if (at.name == section && found.metric == metric) return found;
  throw std::runtime_error("no " + section + " " + metric);
}

Interval value(const AbTestResult& result, const std::string& section, size_t arm,
               const std::string& metric) {
  for (const AbSection& at : result.sections)
    for (const AbMetric& found : at.metrics[arm])
      if (at.name == section && found.name == metric) return found.value;
  throw std::runtime_error("no " + section + " " + metric);
}

TEST(AbTest, TheSameBundleTwiceGivesExactlyZero) {
  const AbTestResult result = run_abtest(read_abtest_recipe(two_arms("taste", "taste")));
  EXPECT_EQ(result.day, kTestDay);
  EXPECT_GT(result.users, 100);
  EXPECT_TRUE(result.notes.empty());
  ASSERT_EQ(result.sections.size(), 3u);
  for (const AbSection& section : result.sections) {
    ASSERT_FALSE(section.differences.empty());
    for (const AbDifference& found : section.differences) {
      EXPECT_EQ(found.absolute.value, 0) << found.metric;
      EXPECT_EQ(found.absolute.low, 0) << found.metric;
      EXPECT_EQ(found.absolute.high, 0) << found.metric;
      EXPECT_EQ(found.verdict, "equal") << found.metric;
    }
  }
}

TEST(AbTest, KnowingWhatUsersLikeToClickBeatsNoise) {
  Json json = two_arms("random", "taste");
  json["published"] = {{"tv", {{"ctr", 0.1}}}, {"movies", {{"ctr", -0.1}, {"local_minutes", 0}}}};
  const AbTestResult result = run_abtest(read_abtest_recipe(json));
  for (const char* row : {"tv", "movies"}) {
    EXPECT_EQ(difference(result, row, "expected_ctr").verdict, "better") << row;
    EXPECT_EQ(difference(result, row, "expected_dwm").verdict, "better") << row;
    EXPECT_EQ(difference(result, row, "exposure_personalised").verdict, "better") << row;
    for (const char* metric : {"ctr", "local_minutes", "dwm"}) {
      for (const size_t arm : {0u, 1u}) {
        const Interval drawn = value(result, row, arm, metric);
        const double expected = value(result, row, arm, std::string("expected_") + metric).value;
        EXPECT_NEAR(drawn.value, expected, drawn.high - drawn.low) << row << metric;
        EXPECT_LT(drawn.low, drawn.value);
        EXPECT_LT(drawn.value, drawn.high);
      }
    }
    const AbDifference& ctr = difference(result, row, "expected_ctr");
    const double control = value(result, row, 0, "expected_ctr").value;
    EXPECT_NEAR(ctr.absolute.value, value(result, row, 1, "expected_ctr").value - control, 1e-12);
    EXPECT_NEAR(ctr.relative.value, ctr.absolute.value / control, 1e-12);
    EXPECT_LT(ctr.relative.low, ctr.relative.value);
    EXPECT_GT(ctr.relative.high, ctr.relative.value);
  }
  EXPECT_EQ(difference(result, "tv", "expected_ctr").claim, "reproduced");
  EXPECT_EQ(difference(result, "movies", "expected_ctr").claim, "reversed");
  EXPECT_EQ(difference(result, "tv", "dwm").claim, "");
  for (const size_t arm : {0u, 1u}) {
    const double dwm =
        value(result, "tv", arm, "dwm").value + value(result, "movies", arm, "dwm").value;
    EXPECT_NEAR(value(result, "platform", arm, "dwm").value, dwm, 1e-9);
    const LoggedPast past = Platform::get().past();
    double other = 0;
    for (const double minutes : past.other_minutes) other += minutes;
    EXPECT_NEAR(value(result, "platform", arm, "platform_minutes").value,
                dwm + other / static_cast<double>(result.users), 1e-9);
  }
}

TEST(AbTest, DoesNotDependOnThreads) {
  const AbTestRecipe recipe = read_abtest_recipe(two_arms("random", "taste", false));
  set_threads(1);
  const Json one = to_json(run_abtest(recipe));
  set_threads(3);
  const Json three = to_json(run_abtest(recipe));
  set_threads(0);
  EXPECT_EQ(one, three);
}

TEST(AbTest, ABundleThatHasSeenTheTestDayIsRefused) {
  const Platform& platform = Platform::get();
  Json json = two_arms("random", "taste", false);
  json["arms"][1]["tv"] = platform.bundle("late_tv");
  const AbTestResult later = run_abtest(read_abtest_recipe(json));
  EXPECT_EQ(later.day, kTestDay + 1);
  EXPECT_THAT(later.notes, ElementsAre(HasSubstr("knows the log until")));
  json["day"] = kTestDay;
  EXPECT_THAT([&] { run_abtest(read_abtest_recipe(json)); },
              ThrowsMessage<ConfigError>(HasSubstr("with --at '2024-03-09 00:00:00'")));
}

TEST(AbTest, NoArmBeatsTheOracle) {
  Json json = two_arms("taste", "taste", false);
  json["arms"][0]["tv"] = {{"oracle", "minutes"}};
  json["channels"]["popular"] = json["channels"]["co_play"] = json["channels"]["new"] = 0;
  json["channels"]["personalised"] = 8;
  const AbTestResult result = run_abtest(read_abtest_recipe(json));
  EXPECT_EQ(result.arms[0]["tv"], (Json{{"oracle", "minutes"}}));
  EXPECT_EQ(difference(result, "tv", "expected_dwm").verdict, "worse");
  std::swap(json["arms"][0], json["arms"][1]);
  json["published"] = {{"tv", {{"dwm", 0.1}}}};
  const AbTestResult swapped = run_abtest(read_abtest_recipe(json));
  EXPECT_EQ(difference(swapped, "tv", "expected_dwm").verdict, "better");
  EXPECT_EQ(difference(swapped, "tv", "expected_dwm").claim, "");  // no model that it is said of
  EXPECT_NEAR(difference(swapped, "tv", "expected_dwm").absolute.value,
              -difference(result, "tv", "expected_dwm").absolute.value, 1e-12);
  json["arms"][0]["tv"] = json["arms"][1]["tv"];
  EXPECT_THROW(run_abtest(read_abtest_recipe(json)), ConfigError);  // nothing tells the day
  json["day"] = 3;
  EXPECT_EQ(run_abtest(read_abtest_recipe(json)).day, 3);
}

TEST(AbTest, ABundleOfTheOtherRowIsRefused) {
  Json json = two_arms("random", "taste", false);
  json["arms"][1]["tv"] = Platform::get().bundle("taste_movies");
  EXPECT_THAT([&] { run_abtest(read_abtest_recipe(json)); },
              ThrowsMessage<ConfigError>(HasSubstr("no show of the row 'tv'")));
  json["arms"][1]["tv"] = {{"bundle", Platform::get().bundle("taste_tv")}, {"fusion", 0.5}};
  EXPECT_THAT([&] { run_abtest(read_abtest_recipe(json)); },
              ThrowsMessage<ConfigError>(HasSubstr("the model has one task")));
}

TEST(AbTestVerdict, FollowsTheIntervalAndTheDirection) {
  EXPECT_EQ(verdict_of({0, 0, 0}, 1), "equal");
  EXPECT_EQ(verdict_of({0.1, -0.1, 0.3}, 1), "not distinguishable");
  EXPECT_EQ(verdict_of({0.1, 0.05, 0.3}, 1), "better");
  EXPECT_EQ(verdict_of({-0.1, -0.2, -0.05}, 1), "worse");
  EXPECT_EQ(verdict_of({0.1, 0.05, 0.3}, -1), "worse");
  EXPECT_EQ(verdict_of({-0.1, -0.2, -0.05}, -1), "better");
  EXPECT_EQ(verdict_of({0.1, 0.05, 0.3}, 0), "more");
  EXPECT_EQ(verdict_of({-0.1, -0.2, -0.05}, 0), "less");
  EXPECT_EQ(verdict_of({NAN, NAN, NAN}, 1), "not distinguishable");
}

/// The message that a changed recipe is refused with.
std::string refusal(const std::function<void(Json&)>& change) {
  Json json{{"world", "w"}, {"arms", {{{"name", "a"}, {"tv", "x"}}, {{"name", "b"}, {"tv", "y"}}}}};
  change(json);
  try {
    read_abtest_recipe(json);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "none";
}

TEST(AbTestRecipe, PathsStartAtTheFolderOfBundles) {
  const Json json{{"world", "w"},
                  {"arms",
                   {{{"name", "a"}, {"tv", "x"}},
                    {{"name", "b"}, {"tv", {{"bundle", "/y"}, {"fusion", 0.3}}}}}}};
  const AbTestRecipe recipe = read_abtest_recipe(json, "all");
  EXPECT_EQ(recipe.arms[0].rows[0]->bundle, "all/x");
  EXPECT_EQ(recipe.arms[1].rows[0]->bundle, "/y");
  EXPECT_EQ(recipe.arms[1].rows[0]->fusion, 0.3);
  EXPECT_TRUE(recipe.has_row(ShowType::kTv));
  EXPECT_FALSE(recipe.has_row(ShowType::kMovie));
}

TEST(AbTestRecipe, WhatMeansNothingIsNamed) {
  EXPECT_EQ(refusal([](Json&) {}), "none");
  EXPECT_THAT(refusal([](Json& j) { j.erase("world"); }), HasSubstr("--world"));
  EXPECT_THAT(refusal([](Json& j) { j["arms"].erase(1); }), HasSubstr("two or more"));
  EXPECT_THAT(refusal([](Json& j) { j["arms"][1]["name"] = "a"; }), HasSubstr("two arms"));
  EXPECT_THAT(refusal([](Json& j) { j["arms"][1].erase("tv"); }), HasSubstr("names no bundle"));
  EXPECT_THAT(refusal([](Json& j) { j["arms"][1]["movies"] = "z"; }), HasSubstr("'movies'"));
  EXPECT_THAT(refusal([](Json& j) { j["arms"][1]["tv"] = 3; }), HasSubstr("'arms.tv' = 3"));
  EXPECT_THAT(refusal([](Json& j) {
                j["arms"][1]["tv"] = {{"bundle", "x"}, {"fusion", 2}};
              }),
              HasSubstr("expected 0 to 1"));
  EXPECT_THAT(refusal([](Json& j) {
                j["arms"][1]["tv"] = {{"oracle", "all"}};
              }),
              HasSubstr("minutes"));
  EXPECT_THAT(refusal([](Json& j) {
                j["arms"][1]["tv"] = {{"oracle", "click"}, {"bundle", "x"}};
              }),
              HasSubstr("write tv = "));
  EXPECT_THAT(refusal([](Json& j) { j["channels"]["populer"] = 2; }), HasSubstr("popular"));
  EXPECT_THAT(refusal([](Json& j) { j["channels"]["new"] = -1; }), HasSubstr("0 or more"));
  EXPECT_THAT(refusal([](Json& j) { j["channels"]["personalised"] = 0; }), HasSubstr("1 or more"));
  EXPECT_THAT(refusal([](Json& j) { j["nktd_at"] = 1; }), HasSubstr("2 or more"));
  EXPECT_THAT(refusal([](Json& j) { j["published"]["tv"]["dvm"] = 1; }), HasSubstr("dwm"));
}

TEST(AbTestRecipe, TheShippedRecipeHasBothRowsAndThePapersFigures) {
  Json json = load_recipe(find_recipe("long_video", "abtest"), "", {});
  json["world"] = "w";
  const AbTestRecipe recipe = read_abtest_recipe(json);
  EXPECT_TRUE(recipe.has_row(ShowType::kTv) && recipe.has_row(ShowType::kMovie));
  EXPECT_EQ(recipe.published.at("tv").at("dwm"), 0.07);
  EXPECT_EQ(recipe.published.at("platform").at("platform_minutes"), 0.0074);
}

TEST(AbTestCommand, WritesWhatItPrints) {
  const TestFolder folder;
  const std::string recipe = folder / "arms.toml";
  const Platform& platform = Platform::get();
  write_file(recipe, fmt::format("name = \"two\"\n[bootstrap]\nresamples = 20\n"
                                 "[[arms]]\nname = \"a\"\ntv = \"random_tv\"\n"
                                 "[[arms]]\nname = \"b\"\ntv = \"taste_tv\"\n"));
  const std::string command = "abtest " + recipe + " --world " + platform.world().string() +
                              " --bundles " + platform.bundle("") + " --out " + (folder / "out");
  const Outcome outcome = retort_command(command + " --json --quiet");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json json = outcome.json();
  EXPECT_EQ(json, Json::parse(read_file(folder / "out/abtest.json")));
  EXPECT_EQ(json["day"], kTestDay);
  EXPECT_EQ(json["sections"]["tv"]["models"].size(), 2u);
  EXPECT_TRUE(json["sections"]["platform"]["models"]["b"]["platform_minutes"]["low"].is_number());
  const Outcome table = retort_command(command + " --quiet");
  EXPECT_THAT(table.out, HasSubstr("TV For You"));
  EXPECT_THAT(table.out, HasSubstr("expected_dwm"));
  const Outcome wrong = retort_command("abtest " + recipe + " --out " + (folder / "out"));
  EXPECT_EQ(wrong.code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("--world"));
}

}  // namespace
}  // namespace retort
