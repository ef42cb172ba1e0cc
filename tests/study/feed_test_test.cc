// Arms whose order is known, worlds in which there is none, recipes that mean nothing, the command.
#include "retort/study/feed_test.h"

#include <cmath>
#include <functional>

#include "tests/cli/executable.h"
#include "tests/study/feed_platform.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/recipe.h"
#include "retort/common/thread_pool.h"
#include "retort/log/duckdb.h"

namespace retort {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

FeedTestResult run(const Json& recipe) {
  return run_feed_test(read_feed_test_recipe(recipe, FeedPlatform::get().bundles()));
}

const AbDifference& of(const FeedRankerResult& judged, const std::string& arm,
                       const std::string& metric) {
  for (const AbDifference& found : judged.section->differences)
    if (found.arm == arm && found.metric == metric) return found;
  throw std::runtime_error("no " + arm + " " + metric);
}

TEST(FeedTest, TheSameBundleTwiceGivesExactlyZeroBehindEveryRanker) {
  const FeedTestResult result = run(feed_arms({{"a", "taste"}, {"b", "taste"}}));
  EXPECT_EQ(result.day, FeedPlatform::kLastDay);
  EXPECT_GT(result.users, 120);
  EXPECT_GT(result.requests, result.users);
  ASSERT_EQ(result.rankers.size(), 3u);
  for (const FeedRankerResult& judged : result.rankers) {
    ASSERT_EQ(judged.section->differences.size(), 7u);
    for (const AbDifference& found : judged.section->differences) {
      EXPECT_EQ(found.verdict, "equal") << judged.ranker << found.metric;
      EXPECT_EQ(found.absolute.low, 0);
      EXPECT_EQ(found.absolute.high, 0);
      EXPECT_EQ(found.sequential->low, 0);
      EXPECT_EQ(found.sequential->high, 0);
      EXPECT_FALSE(found.decided_after);
    }
    EXPECT_EQ(judged.coverage[0], judged.coverage[1]);
  }
}

TEST(FeedTest, KnowingTastesBeatsNoiseAndTheTruthBeatsBoth) {
  Json json = feed_arms({{"random", "random"}, {"taste", "taste"}, {"oracle", "oracle:value"}});
  json["arms"][0]["published"] = 2.0;
  json["arms"][1]["published"] = 3.0;
  const FeedTestResult result = run(json);
  const FeedRankerResult& none = result.rankers.front();
  EXPECT_EQ(none.ranker, "none");
  for (const char* metric : {"expected_seconds", "expected_ctr", "expected_reads"})
    EXPECT_EQ(of(none, "taste", metric).verdict, "better") << metric;
  EXPECT_EQ(of(none, "oracle", "expected_seconds").verdict, "better");
  EXPECT_GT(of(none, "oracle", "expected_seconds").absolute.value,
            of(none, "taste", "expected_seconds").absolute.value);
  // Of those 25 no slate is worth more than the truth's first ten, whatever ranks them.
  for (const FeedRankerResult& judged : result.rankers)
    for (size_t arm = 0; arm < 3; ++arm)
      EXPECT_LE(judged.section->metrics[arm][1].value.value,
                none.section->metrics[2][1].value.value + 1e-9);
  const AbDifference& taste = of(none, "taste", "expected_seconds");
  EXPECT_DOUBLE_EQ(*taste.published, 0.5);
  EXPECT_EQ(taste.claim, "reproduced");
  EXPECT_FALSE(of(none, "oracle", "expected_seconds").published);
  ASSERT_EQ(none.order.size(), 2u);
  EXPECT_EQ(none.order_below[0], "random");
  EXPECT_EQ(none.order[0].arm, "taste");
  EXPECT_EQ(none.order[0].claim, "reproduced");
  EXPECT_DOUBLE_EQ(none.order[0].absolute.value, taste.absolute.value);
  for (const AbDifference& found : none.section->differences) {
    EXPECT_LE(found.sequential->low, found.absolute.value) << found.metric;
    EXPECT_GE(found.sequential->high, found.absolute.value) << found.metric;
  }
  const AbDifference& clicks = of(none, "oracle", "expected_ctr");
  ASSERT_TRUE(clicks.decided_after);
  EXPECT_GE(*clicks.decided_after, 100);
  EXPECT_LE(*clicks.decided_after, result.users);
  std::swap(json["arms"][0]["published"], json["arms"][1]["published"]);
  json["rankers"] = {"none"};
  EXPECT_EQ(run(json).rankers[0].order[0].claim, "reversed");
}

TEST(FeedTest, InTheNullWorldArmsThatDifferInReadingAloneHaveNoEdge) {
  Json json = feed_arms({{"click", "oracle:click"}, {"value", "oracle:value"}});
  json["candidates"] = 10;
  const FeedTestResult feed = run(json);
  EXPECT_EQ(of(feed.rankers[0], "value", "expected_seconds").verdict, "better");
  json["world"] = FeedPlatform::get().null_world().string();
  const FeedTestResult null = run(json);
  for (const FeedRankerResult& judged : null.rankers)
    for (const AbDifference& found : judged.section->differences)
      EXPECT_EQ(found.verdict, "equal") << judged.ranker << found.metric;
}

TEST(FeedTest, DoesNotDependOnThreads) {
  Json json = feed_arms({{"random", "random"}, {"taste", "taste"}});
  json["counterfactual"]["enabled"] = true;
  json["rankers"] = {"ctr_dwell"};
  set_threads(1);
  const Json one = to_json(run(json));
  set_threads(3);
  const Json three = to_json(run(json));
  set_threads(0);
  EXPECT_EQ(one, three);
}

TEST(FeedTest, WhatTheLogSaysIsBesideWhatWasReplayed) {
  Json json = feed_arms({{"random", "random"}, {"taste", "taste"}});
  json["counterfactual"]["enabled"] = true;
  json["rankers"] = {"none", "ctr"};
  const FeedTestResult result = run(json);
  EXPECT_GT(*result.logged_seconds, 1);
  for (const FeedRankerResult& judged : result.rankers) {
    ASSERT_EQ(judged.estimates.size(), 2u);
    for (size_t arm = 0; arm < 2; ++arm) {
      const FeedEstimate& estimate = judged.estimates[arm];
      EXPECT_EQ(*estimate.expected_ctr, judged.section->metrics[arm][3].value.value);
      EXPECT_EQ(*estimate.expected_seconds, judged.section->metrics[arm][1].value.value);
      EXPECT_EQ(estimate.ctr.rows, 10 * result.requests);
      EXPECT_EQ(estimate.ctr.matched, estimate.seconds.matched);
      EXPECT_GT(estimate.ctr.matched, 30);
      EXPECT_NEAR(estimate.ctr.mean_weight.value, 1, 0.4);
      EXPECT_GT(estimate.ctr.doubly_robust.high, *estimate.expected_ctr * 0.8);
      EXPECT_LT(estimate.ctr.doubly_robust.low, *estimate.expected_ctr * 1.2);
    }
  }
  const std::string text = table(result);
  EXPECT_THAT(text, AllOf(HasSubstr("doubly robust"), HasSubstr("replayed")));
}

TEST(FeedTest, TheLogAloneGivesTheSameEstimatesAsTheWorld) {
  Json json = feed_arms({{"random", "random"}, {"taste", "taste"}});
  json["counterfactual"] = {{"enabled", true}, {"slots", "same"}};
  const FeedTestResult world = run(json);
  json["log"] = json["world"];
  json.erase("world");
  const FeedTestResult log = run(json);
  EXPECT_EQ(log.from, world.from);
  EXPECT_EQ(log.users, world.users);
  EXPECT_FALSE(log.day);
  for (size_t ranker = 0; ranker < 3; ++ranker) {
    EXPECT_FALSE(log.rankers[ranker].section);
    for (size_t arm = 0; arm < 2; ++arm) {
      const FeedEstimate &a = log.rankers[ranker].estimates[arm],
                         &b = world.rankers[ranker].estimates[arm];
      EXPECT_NEAR(a.seconds.ips.value, b.seconds.ips.value, 1e-9);
      EXPECT_NEAR(a.seconds.doubly_robust.value, b.seconds.doubly_robust.value, 1e-9);
      EXPECT_NEAR(a.ctr.snips.value, b.ctr.snips.value, 1e-9);
      EXPECT_EQ(a.ctr.matched, b.ctr.matched);
      EXPECT_FALSE(a.expected_seconds);
    }
  }
  EXPECT_THAT(table(log), HasSubstr("T/M from the log, ranker ctr"));
}

TEST(FeedTest, ALogWithoutPropensitiesIsRefusedUnlessNothingIsAskedOfIt) {
  const ScratchFolder scratch;
  fs::copy(FeedPlatform::get().world(), scratch / "world", fs::copy_options::recursive);
  const std::string file = (scratch / "world/impressions.parquet").string();
  const std::string part = (scratch / "part.parquet").string();
  DuckDb().run(fmt::format("COPY (SELECT * EXCLUDE (propensity) FROM read_parquet({})) TO {}",
                           sql_string(file), sql_string(part)));
  fs::rename(part, file);
  Json json = feed_arms({{"random", "random"}, {"taste", "taste"}});
  json["world"] = (scratch / "world").string();
  json["rankers"] = {"none"};
  EXPECT_EQ(run(json).rankers[0].section->metrics.size(), 2u);
  json["counterfactual"]["enabled"] = true;
  EXPECT_THAT([&] { run(json); },
              ThrowsMessage<DataError>(AllOf(HasSubstr(file), HasSubstr("column 'propensity'"))));
}

TEST(FeedTest, ABundleThatHasSeenTheTestDayIsRefused) {
  Json json = feed_arms({{"random", "random"}, {"late", "late"}});
  EXPECT_THAT([&] { run(json); },
              ThrowsMessage<ConfigError>(HasSubstr("with --at '2024-03-07 00:00:00'")));
  EXPECT_THAT(
      [&] {
        run(feed_arms({{"random", "random"}, {"late", "late_weights"}}));
      },
      ThrowsMessage<ConfigError>(HasSubstr("trained on nothing later")));
  json["day"] = 4;
  EXPECT_THAT([&] { run(json); }, ThrowsMessage<ConfigError>(HasSubstr("days 0 to 3")));
  json["counterfactual"]["enabled"] = true;
  json["log"] = json["world"];
  json.erase("world");
  json.erase("day");
  json["since"] = "2024-03-06 12:00:00";
  EXPECT_THAT([&] { run(json); }, ThrowsMessage<ConfigError>(AllOf(HasSubstr("arm 'random'"),
                                                                   HasSubstr("later 'since'"))));
  json["since"] = "2024-03-09 00:00:00";
  EXPECT_THAT([&] { run(json); }, ThrowsMessage<ConfigError>(HasSubstr("earlier 'since'")));
}

/// The message that a changed recipe is refused with.
std::string feed_refusal(const std::function<void(Json&)>& change) {
  Json json{{"kind", "feed"}, {"world", "w"}, {"arms", {{{"name", "a"}, {"bundle", "x"}}}}};
  change(json);
  try {
    read_feed_test_recipe(json);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "none";
}

TEST(FeedTestRecipe, WhatMeansNothingIsNamed) {
  EXPECT_EQ(feed_refusal([](Json&) {}), "none");
  EXPECT_THAT(feed_refusal([](Json& j) { j.erase("world"); }), HasSubstr("--log"));
  EXPECT_THAT(feed_refusal([](Json& j) { j["log"] = "l"; }), HasSubstr("'log' is of a log alone"));
  EXPECT_THAT(feed_refusal([](Json& j) { j["since"] = "2024-03-04"; }),
              HasSubstr("'since' is of a log alone"));
  EXPECT_THAT(feed_refusal([](Json& j) {
                j.erase("world");
                j["log"] = "l";
                j["day"] = 3;
              }),
              HasSubstr("'day' is of a world"));
  EXPECT_THAT(feed_refusal([](Json& j) { j.erase("arms"); }), HasSubstr("[[arms]]"));
  EXPECT_THAT(feed_refusal([](Json& j) { j["arms"].push_back(j["arms"][0]); }),
              HasSubstr("two arms"));
  EXPECT_THAT(feed_refusal([](Json& j) { j["arms"][0]["oracle"] = "value"; }),
              HasSubstr("oracle = \"value\""));
  EXPECT_THAT(feed_refusal([](Json& j) {
                j["arms"][0] = {{"name", "a"}, {"oracle", "all"}};
              }),
              HasSubstr("value"));
  EXPECT_THAT(feed_refusal([](Json& j) { j["arms"][0]["fusion"] = 2; }), HasSubstr("0 to 1"));
  EXPECT_THAT(feed_refusal([](Json& j) { j["arms"][0]["published"] = 0; }), HasSubstr("above 0"));
  EXPECT_THAT(feed_refusal([](Json& j) {
                j["rankers"] = {"ctr", "dwell"};
              }),
              HasSubstr("\"dwell\" is none of"));
  EXPECT_THAT(feed_refusal([](Json& j) { j["rankers"] = Json::array(); }), HasSubstr("names none"));
  EXPECT_THAT(feed_refusal([](Json& j) { j["slots"] = 0; }), HasSubstr("1 to 1000"));
  EXPECT_THAT(feed_refusal([](Json& j) { j["candidates"] = 0; }), HasSubstr("1 or more"));
  EXPECT_THAT(feed_refusal([](Json& j) {
                j.erase("world");
                j["log"] = "l";
                j["counterfactual"]["enabled"] = false;
              }),
              HasSubstr("nothing else can be said"));
  EXPECT_THAT(feed_refusal([](Json& j) { j["counterfactual"]["slots"] = "all"; }),
              HasSubstr("any"));
  EXPECT_THAT(feed_refusal([](Json& j) {
                j.erase("world");
                j["log"] = "l";
                j["arms"][0] = {{"name", "a"}, {"oracle", "value"}};
              }),
              HasSubstr("needs a world"));
  EXPECT_THROW(is_feed_test(Json{{"kind", "news"}}), ConfigError);
  EXPECT_FALSE(is_feed_test(Json::object()));
}

TEST(FeedTestRecipe, TheShippedRecipeHasThePapersTableAndAnAaArm) {
  Json json = load_recipe(find_recipe("feed", "abtest"), "", {});
  json["world"] = "w";
  ASSERT_TRUE(is_feed_test(json));
  const FeedTestRecipe recipe = read_feed_test_recipe(json, "all");
  EXPECT_EQ(recipe.rankers.size(), 3u);
  EXPECT_EQ(recipe.arms[0].bundle, recipe.arms[1].bundle);
  EXPECT_EQ(recipe.arms[0].bundle, "all/dssm_click");
  std::map<std::string, double> published;
  for (const FeedArmRecipe& arm : recipe.arms)
    if (arm.published) published[arm.name] = *arm.published;
  EXPECT_EQ(published, (std::map<std::string, double>{{"dssm_click", 3.93},
                                                      {"dssm_classification", 1.74},
                                                      {"dssm_regression", 2.73},
                                                      {"dmtl", 4.27}}));
}

TEST(FeedTestCommand, WritesWhatItPrints) {
  const TestFolder folder;
  const FeedPlatform& platform = FeedPlatform::get();
  const std::string recipe = folder / "arms.toml";
  write_file(recipe,
             "name = \"two\"\nkind = \"feed\"\nrankers = [\"none\"]\n[bootstrap]\nresamples = 20\n"
             "[[arms]]\nname = \"a\"\nbundle = \"random\"\n"
             "[[arms]]\nname = \"b\"\nbundle = \"taste\"\n");
  const std::string command = "abtest " + recipe + " --bundles " + platform.bundles().string() +
                              " --out " + (folder / "out");
  const Outcome outcome =
      retort_command(command + " --world " + platform.world().string() + " --json --quiet");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json json = outcome.json();
  EXPECT_EQ(json, Json::parse(read_file(folder / "out/abtest.json")));
  EXPECT_EQ(json["day"], FeedPlatform::kLastDay);
  const Json& none = json["rankers"]["none"];
  EXPECT_TRUE(none["models"]["b"]["expected_seconds"]["low"].is_number());
  EXPECT_TRUE(none["models"]["b"]["coverage"].is_number());
  EXPECT_TRUE(none["differences"][0]["sequential"]["high"].is_number());
  EXPECT_TRUE(none["counterfactual"]["a"]["seconds"]["doubly_robust"]["value"].is_number());
  const std::string report = "report " + (folder / "out") + " --text --quiet";
  const Outcome shown = retort_command(report);
  EXPECT_THAT(shown.out, HasSubstr("behind none"));
  EXPECT_THAT(shown.out, HasSubstr("from the log alone"));
  const Outcome table =
      retort_command(command + " --log " + platform.world().string() + " --quiet");
  EXPECT_EQ(table.code, 0) << table.err;
  EXPECT_THAT(table.out, HasSubstr("T/M from the log, ranker none"));
  EXPECT_THAT(retort_command(report).out, HasSubstr("from the log alone"));
  const std::string sum = "abtest " + recipe + " --sum-up " + (folder / "out") + " --out ";
  EXPECT_THAT(retort_command(sum + (folder / "sum")).err, HasSubstr("no recipe"));
  const Outcome few = retort_command(command + " --world " + platform.world().string() +
                                     " --set candidates=3 --quiet");
  EXPECT_THAT(few.out, HasSubstr("3 candidates for 10 slots"));
  const Outcome wrong = retort_command(command);
  EXPECT_EQ(wrong.code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("--log"));
}

}  // namespace
}  // namespace retort
