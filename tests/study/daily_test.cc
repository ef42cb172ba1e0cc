// The day's work, from an empty folder over several days, interrupted and repeated.
#include "retort/study/daily.h"

#include <sstream>

#include "tests/support/growing_feed.h"
#include "tests/support/scratch_folder.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/bundle/bundle_writer.h"
#include "retort/common/error.h"
#include "retort/common/recipe.h"
#include "retort/common/thread_pool.h"
#include "retort/dataset/dataset.h"
#include "retort/trainer/run_folder.h"

namespace retort {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class DailyTest : public testing::Test {
 protected:
  DailyTest() {
    set_threads(1);
    write_growing_feed(scratch_.path(), 6, 120);
    recipe_.data = (scratch_ / "feed.toml").string();
    recipe_.model = (fs::path(RETORT_SOURCE) / "recipes" / "dmtl.toml").string();
    recipe_.preset = "tiny";
    recipe_.sets = {"train.epochs=1", "train.batch=64"};
    recipe_.gate.tolerance = 1;
  }
  Json day(int number) {
    return run_day(
        recipe_,
        {.from = scratch_.path(), .out = out(), .day = growing_day(number), .device = "cpu"});
  }
  fs::path out() const { return scratch_ / "feed"; }
  std::vector<int64_t> versions() const { return bundle_versions(out() / "bundles"); }
  template <class E>
  std::string error_of(int number) {
    try {
      day(number);
    } catch (const E& error) {
      return error.what();
    }
    return "no error";
  }
  const ScratchFolder scratch_;
  DailyRecipe recipe_;
};

TEST_F(DailyTest, PublishesDayByDayAndGivesRoomBack) {
  recipe_.keep_days = 1;
  for (const int number : {3, 4, 5}) {
    const Json result = day(number);
    EXPECT_EQ(result.at("published"), true) << result.dump();
    EXPECT_EQ(result.at("version"), number - 2);
    EXPECT_EQ(result.at("gate").contains("difference"), number > 3);
  }
  EXPECT_THAT(versions(), ElementsAre(1, 2, 3));
  EXPECT_FALSE(fs::exists(out() / "datasets" / growing_day(3)));
  const Dataset last(out() / "datasets" / growing_day(5));
  EXPECT_EQ(last.manifest().at("lineage").size(), 2U);
  const Json info = read_json(RunPaths(out() / "runs" / growing_day(5)).info);
  EXPECT_THAT(info.at("warm_start").at("run").get<std::string>(), HasSubstr(growing_day(4)));
}

TEST_F(DailyTest, IsRepeatedWithoutDoingAnythingTwice) {
  const Json first = day(3), again = day(3);
  EXPECT_EQ(again.at("repeated"), true);
  EXPECT_EQ(again.at("gate"), first.at("gate"));
  EXPECT_THAT(versions(), ElementsAre(1));
  fs::remove(out() / "days" / (growing_day(3) + ".json"));  // a crash just before the last write
  const Json crashed = day(3);
  EXPECT_EQ(crashed.at("version"), 1);
  EXPECT_EQ(crashed.at("gate"), first.at("gate"));
  EXPECT_THAT(versions(), ElementsAre(1));
}

TEST_F(DailyTest, AWorseModelIsNotPublishedAndTheOldOneStaysTheRival) {
  day(3);
  recipe_.gate.tolerance = 0;
  recipe_.gate.at_least = 1.01;  // whatever it reaches
  const Json refused = day(4);
  EXPECT_EQ(refused.at("published"), false);
  EXPECT_THAT(refused.at("reason").get<std::string>(), HasSubstr("below gate.at_least"));
  EXPECT_THAT(versions(), ElementsAre(1));
  recipe_.gate.at_least = 0;
  recipe_.gate.tolerance = 1;
  const Json then = day(5);
  EXPECT_EQ(then.at("gate").at("published_day"), growing_day(3));
  EXPECT_THAT(versions(), ElementsAre(1, 2));
  EXPECT_THAT(describe_day(refused), HasSubstr("NOT published"));
}

TEST_F(DailyTest, LearnsFromYesterdaysScores) {
  recipe_.scores = {.teacher = recipe_.model, .pairs = "logged", .first = recipe_.model};
  recipe_.model = (fs::path(RETORT_SOURCE) / "recipes" / "offline_point.toml").string();
  for (const int number : {3, 4, 5}) day(number);
  EXPECT_FALSE(fs::exists(out() / "scores" / (growing_day(3) + ".parquet")));
  const auto run_of = [&](const char* folder, int number) {
    return read_json(RunPaths(out() / folder / growing_day(number)).info);
  };
  EXPECT_EQ(read_json(RunPaths(out() / "runs" / growing_day(4)).recipe).at("scores").at("file"),
            fs::absolute(out() / "scores" / (growing_day(4) + ".parquet")).string());
  EXPECT_FALSE(run_of("runs", 4).contains("warm_start"));  // the first day's was another model
  EXPECT_TRUE(run_of("runs", 5).contains("warm_start"));
  EXPECT_TRUE(run_of("teachers", 5).contains("warm_start"));
  std::istringstream lines(read_file(out() / "runs" / growing_day(5) / "metrics.jsonl"));
  std::string line;
  std::getline(lines, line);
  EXPECT_GT(Json::parse(line).at("loss").get<double>(), 0) << "no row has a score: " << line;
  EXPECT_THAT(versions(), ElementsAre(1, 2, 3));
}

TEST_F(DailyTest, DaysOutOfOrderAndUnknownKeysAreErrors) {
  day(4);
  EXPECT_THAT(error_of<ConfigError>(3), HasSubstr("days are run in order"));
  EXPECT_THAT(error_of<DataError>(9), HasSubstr("no event of"));
  EXPECT_THROW(read_daily_recipe(Json{{"data", "feed"}}), ConfigError);
  EXPECT_THROW(read_daily_recipe(Json{{"data", "feed"}, {"model", "dmtl"}, {"keep_days", 0}}),
               ConfigError);
  const fs::path recipes = fs::path(RETORT_SOURCE) / "recipes" / "daily";
  EXPECT_EQ(read_daily_recipe(load_recipe(recipes / "feed.toml", "tiny", {})).preset, "tiny");
}

}  // namespace
}  // namespace retort
