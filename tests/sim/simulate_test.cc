#include "retort/sim/simulate.h"

#include <cmath>
#include <map>

#include "test_world.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/recipe.h"
#include "retort/common/thread_pool.h"
#include "retort/log/duckdb.h"
#include "retort/sim/options.h"

namespace retort {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using testing::shared_oracle;
using testing::shared_world;
using testing::SimulatedFolder;

std::string table(const fs::path& folder, const char* name) {
  return "read_parquet(" + sql_string((folder / name).string()) + ")";
}

std::string impressions() { return table(shared_world().path, "impressions.parquet"); }

// The list is complete: a latent that slipped into the log would show here.
TEST(Simulate, WritesTheObservablesAndNothingElse) {
  DuckDb db;
  const fs::path& folder = shared_world().path;
  EXPECT_THAT(
      db.describe("SELECT * FROM " + impressions()),
      ElementsAre(Pair("request_id", "VARCHAR"), Pair("user_id", "VARCHAR"),
                  Pair("item_id", "VARCHAR"), Pair("time", "TIMESTAMP"),
                  Pair("position", "INTEGER"), Pair("clicked", "BOOLEAN"), Pair("seconds", "FLOAT"),
                  Pair("propensity", "FLOAT"), Pair("shared", "BOOLEAN"),
                  Pair("followed", "BOOLEAN"), Pair("dismissed", "BOOLEAN")));
  EXPECT_THAT(db.describe("SELECT * FROM " + table(folder, "users.parquet")),
              ElementsAre(Pair("user_id", "VARCHAR"), Pair("segment", "VARCHAR"),
                          Pair("region", "VARCHAR")));
  EXPECT_THAT(db.describe("SELECT * FROM " + table(folder, "items.parquet")),
              ElementsAre(Pair("item_id", "VARCHAR"), Pair("category", "VARCHAR"),
                          Pair("author", "VARCHAR"), Pair("title_style", "VARCHAR"),
                          Pair("length", "VARCHAR"), Pair("published", "TIMESTAMP")));
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  EXPECT_THAT(names, ::testing::UnorderedElementsAre("impressions.parquet", "users.parquet",
                                                     "items.parquet", "truth", "world.json"));
}

// No feature of the recipe reads anything but keys, attributes of the tables and past clicks.
TEST(Simulate, RecipeReadsObservablesOnly) {
  const Json recipe = load_recipe(fs::path(RETORT_SOURCE) / "recipes/data/feed.toml", "", {});
  const std::set<std::string> allowed{"user",     "segment", "region",      "item",
                                      "category", "author",  "title_style", "length"};
  for (const Json& feature : recipe["features"]) {
    if (feature.contains("column")) {
      EXPECT_EQ(allowed.count(feature["column"].get<std::string>()), 1U) << feature.dump();
    } else {
      EXPECT_EQ(feature["kind"], "sequence");
    }
  }
  for (const char* source : {"events", "users", "items"}) {
    EXPECT_EQ(recipe[source].dump().find("truth"), std::string::npos);
  }
}

TEST(Simulate, CountsInTheSummaryAreThoseOfTheLog) {
  DuckDb db;
  const Json& counts = shared_world().summary["counts"];
  EXPECT_EQ(db.query_integer("SELECT count(*) FROM " + impressions()), counts["impressions"]);
  EXPECT_EQ(db.query_integer("SELECT count(DISTINCT request_id) FROM " + impressions()),
            counts["requests"]);
  EXPECT_EQ(db.query_integer("SELECT count(*) FROM " + impressions() + " WHERE clicked"),
            counts["clicks"]);
  EXPECT_EQ(Json::parse(read_file(shared_world().path / "world.json")), shared_world().summary);
}

TEST(Simulate, RequestsHaveTenSlotsOneMomentAndOneUser) {
  DuckDb db;
  EXPECT_EQ(db.query_integer("SELECT count(*) FROM (SELECT request_id FROM " + impressions() +
                             " GROUP BY ALL HAVING count(*) <> 10 OR min(position) <> 1 OR "
                             "max(position) <> 10 OR count(DISTINCT position) <> 10 OR "
                             "count(DISTINCT \"time\") <> 1 OR count(DISTINCT user_id) <> 1)"),
            0);
}

TEST(Simulate, SecondsStandBesideClicksOnly) {
  DuckDb db;
  EXPECT_EQ(db.query_integer("SELECT count(*) FROM " + impressions() +
                             " WHERE clicked <> (seconds IS NOT NULL)"),
            0);
  EXPECT_EQ(db.query_integer("SELECT count(*) FROM " + impressions() +
                             " WHERE seconds <= 0 OR seconds > 1800"),
            0);
}

TEST(Simulate, NothingIsShownBeforeItIsBorn) {
  DuckDb db;
  const std::string join =
      impressions() + " JOIN " + table(shared_world().path, "items.parquet") + " USING (item_id) ";
  EXPECT_EQ(db.query_integer("SELECT count(*) FROM " + join + "WHERE \"time\" < published"), 0);
  EXPECT_GT(*db.query_integer("SELECT count(*) FROM " + join +
                              "WHERE published >= TIMESTAMP '2024-03-04'"),
            0);
}

TEST(Simulate, PropensityIsTheExposureProbability) {
  DuckDb db;
  const Oracle& oracle = shared_oracle();
  int64_t rows = 0;
  db.query("SELECT user_id, item_id, \"time\", propensity FROM " + impressions() + " LIMIT 3000",
           [&](const ResultChunk& chunk) {
             for (int64_t r = 0; r < chunk.rows(); ++r, ++rows) {
               const double expected = oracle.exposure(*oracle.find_user(chunk.text(0, r)),
                                                       *oracle.find_item(chunk.text(1, r)),
                                                       oracle.day_of(chunk.integer(2, r)));
               EXPECT_NEAR(chunk.number(3, r) / expected, 1, 2e-5);
             }
           });
  EXPECT_EQ(rows, 3000);
}

TEST(Simulate, ClicksComeAtTheRateOfTheirLaw) {
  const Json& measured = shared_world().summary["measured"];
  const auto impressions = shared_world().summary["counts"]["impressions"].get<double>();
  const double expected = measured["expected_click_rate"];
  EXPECT_NEAR(measured["click_rate"].get<double>(), expected,
              4 * std::sqrt(expected / impressions));
}

// Measured at this size: click rate .0350, median 49.1, deviation 1.35; see docs/simulator.md for
// the larger presets.
TEST(Simulate, MeetsTheTargetsOfTheCalibration) {
  Json recipe = testing::small_recipe();
  recipe["world"].update(Json{{"users", 1500}, {"items", 500}, {"days", 6}});
  const SimulatedFolder folder(recipe, "targets");
  const Json& measured = folder.summary["measured"];
  EXPECT_NEAR(measured["expected_click_rate"].get<double>(), 0.035, 0.0012);
  EXPECT_NEAR(measured["median_seconds"].get<double>(), 50, 4);
  EXPECT_NEAR(measured["log_seconds_deviation"].get<double>(), 1.35, 0.05);
  EXPECT_NEAR(measured["share_under_15_seconds"].get<double>(), 0.19, 0.02);
  EXPECT_NEAR(measured["share_over_200_seconds"].get<double>(), 0.15, 0.02);
}

TEST(Simulate, DoesNotDependOnThreads) {
  set_threads(3);
  const SimulatedFolder three(testing::small_recipe(), "three");
  set_threads(1);
  const SimulatedFolder one(testing::small_recipe(), "one");
  set_threads(0);
  EXPECT_EQ(one.summary, three.summary);
  EXPECT_EQ(read_file(one.path / "truth/manifest.json"),  // holds the digest of every column
            read_file(three.path / "truth/manifest.json"));
  DuckDb db;
  const std::string a = "SELECT * FROM " + table(one.path, "impressions.parquet");
  const std::string b = "SELECT * FROM " + table(three.path, "impressions.parquet");
  EXPECT_EQ(db.query_integer("SELECT count(*) FROM (" + a + " EXCEPT ALL " + b + ")"), 0);
  EXPECT_EQ(db.query_integer("SELECT count(*) FROM (" + b + " EXCEPT ALL " + a + ")"), 0);
}

TEST(Simulate, SeedOptionReplacesTheRecipes) {
  const fs::path path = testing::scratch("seed");
  const Json summary = simulate(testing::small_recipe(), {.out = path, .seed = 5}).summary;
  fs::remove_all(path);
  EXPECT_EQ(summary["options"]["seed"], 5);
  EXPECT_EQ(summary["options"]["log_seed"], 6);
  EXPECT_NE(summary["calibration"], shared_world().summary["calibration"]);
  EXPECT_EQ(summary["constants_sha256"], shared_world().summary["constants_sha256"]);
}

TEST(Simulate, LeavesNothingBehindWhenItFails) {
  EXPECT_THROW(simulate(testing::small_recipe(), {.out = shared_world().path, .seed = {}}),
               IoError);
  const fs::path path = testing::scratch("failed");
  Json recipe = testing::small_recipe();
  recipe["world"]["log_seconds_deviation"] = 0.2;  // below what the means alone spread by
  EXPECT_THROW(simulate(recipe, {.out = path, .seed = {}}), ConfigError);
  for (const auto& entry : fs::directory_iterator(path.parent_path())) {
    EXPECT_EQ(entry.path().filename().string().find(path.filename().string()), std::string::npos);
  }
}

}  // namespace
}  // namespace retort
