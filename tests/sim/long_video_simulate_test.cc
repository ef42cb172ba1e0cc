#include "retort/sim/long_video_simulate.h"

#include <cmath>
#include <map>
#include <set>
#include <string>

#include "test_platform.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/recipe.h"
#include "retort/common/thread_pool.h"
#include "retort/dataset/builder.h"
#include "retort/sim/long_video_truth.h"

namespace retort {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using namespace platform;
using testing::SimulatedFolder;

// The list is complete: a latent that slipped into the log would show here.
TEST(SimulateLongVideo, WritesTheObservablesAndNothingElse) {
  DuckDb db;
  EXPECT_THAT(
      db.describe("SELECT * FROM " + table("impressions")),
      ElementsAre(Pair("imp_id", "BIGINT"), Pair("request_id", "BIGINT"),
                  Pair("user_id", "VARCHAR"), Pair("item_id", "VARCHAR"),
                  Pair("collection", "VARCHAR"), Pair("type", "VARCHAR"),
                  Pair("position", "INTEGER"), Pair("time", "TIMESTAMP"),
                  Pair("clicked", "BOOLEAN"), Pair("kept", "BOOLEAN"), Pair("score_click", "FLOAT"),
                  Pair("score_dwm", "FLOAT"), Pair("snapshot", "INTEGER")));
  EXPECT_THAT(
      db.describe("SELECT * FROM " + table("playbacks")),
      ElementsAre(Pair("pb_id", "BIGINT"), Pair("user_id", "VARCHAR"), Pair("item_id", "VARCHAR"),
                  Pair("type", "VARCHAR"), Pair("time", "TIMESTAMP"), Pair("minutes", "FLOAT"),
                  Pair("collection", "VARCHAR"), Pair("imp_id", "BIGINT")));
  EXPECT_THAT(
      db.describe("SELECT * FROM " + table("reactions")),
      ElementsAre(Pair("user_id", "VARCHAR"), Pair("item_id", "VARCHAR"), Pair("type", "VARCHAR"),
                  Pair("time", "TIMESTAMP"), Pair("kind", "VARCHAR")));
  EXPECT_THAT(
      db.describe("SELECT * FROM " + table("collections")),
      ElementsAre(Pair("id", "VARCHAR"), Pair("kind", "VARCHAR"), Pair("title", "VARCHAR")));
  EXPECT_THAT(
      db.describe("SELECT * FROM " + table("users")),
      ElementsAre(Pair("user_id", "VARCHAR"), Pair("age", "VARCHAR"), Pair("gender", "VARCHAR"),
                  Pair("genre_prefs", "VARCHAR[]"), Pair("tag_prefs", "VARCHAR[]")));
  EXPECT_THAT(db.describe("SELECT * FROM " + table("items")),
              ElementsAre(Pair("item_id", "VARCHAR"), Pair("type", "VARCHAR"),
                          Pair("genres", "VARCHAR[]"), Pair("released", "TIMESTAMP")));
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(shared().path)) {
    names.push_back(entry.path().filename());
  }
  EXPECT_THAT(names, ::testing::UnorderedElementsAre("impressions.parquet", "playbacks.parquet",
                                                     "reactions.parquet", "collections.parquet",
                                                     "users.parquet", "items.parquet", "truth",
                                                     "world.json"));
}

TEST(SimulateLongVideo, EveryTableIsFilledAndKeysAreUnique) {
  EXPECT_EQ(count(table("users")), 400);
  EXPECT_EQ(count(table("items")), 500);
  EXPECT_EQ(count(table("collections")), 4);
  EXPECT_GT(count(table("reactions")), 20);
  DuckDb db;
  for (const auto& [name, key] : std::map<std::string, std::string>{
           {"impressions", "imp_id"}, {"playbacks", "pb_id"}, {"users", "user_id"}}) {
    EXPECT_EQ(count(table(name)),
              db.query_integer("SELECT count(DISTINCT " + key + ") FROM " + table(name)));
  }
  EXPECT_EQ(count("(SELECT unnest(genres) AS g FROM " + table("items") +
                  ") WHERE NOT regexp_full_match(g, 'g[0-9]{2}')"),
            0);
}

// Whatever the recipes read is a file of the log, and a feature's column is one of its columns.
TEST(SimulateLongVideo, RecipesReadObservablesOnly) {
  const std::set<std::string> allowed{"user",        "item",      "age",   "gender",
                                      "genre_prefs", "tag_prefs", "genres"};
  for (const char* name : {"long_video_tv", "long_video_movies"}) {
    const fs::path file = fs::path(RETORT_SOURCE) / "recipes/data" / (std::string(name) + ".toml");
    Json recipe = load_recipe(file, "", {});
    EXPECT_EQ(constants_hash(long_video_options(recipe)), constants_hash(LongVideoOptions()));
    ASSERT_GT(recipe["features"].size(), 5U);
    for (const Json& feature : recipe["features"]) {
      if (!feature.contains("column")) continue;
      EXPECT_EQ(allowed.count(feature["column"].get<std::string>()), 1U) << feature.dump();
    }
    recipe.erase("world");
    EXPECT_EQ(recipe.dump().find("truth"), std::string::npos) << name;
  }
}

// Rows of eight distinct shows of the row's type, one request a row.
TEST(SimulateLongVideo, ARequestIsOneRow) {
  EXPECT_EQ(count("(SELECT request_id FROM " + table("impressions") +
                  " GROUP BY ALL HAVING count(*) <> 8 OR min(position) <> 1 OR max(position) <> 8 "
                  "OR count(DISTINCT position) <> 8 OR count(DISTINCT item_id) <> 8 OR "
                  "count(DISTINCT \"time\") <> 1 OR count(DISTINCT user_id) <> 1 OR "
                  "count(DISTINCT collection) <> 1)"),
            0);
  EXPECT_EQ(
      count(table("impressions") + " WHERE (collection = 'tv_for_you') <> (\"type\" = 'tv') OR "
                                   "(\"type\" = 'tv') <> (item_id LIKE 't%')"),
      0);
}

TEST(SimulateLongVideo, WhatWasPlayedIsNeverShownAgain) {
  EXPECT_EQ(count(table("impressions") + " i JOIN " + table("playbacks") +
                  " p USING (user_id, item_id) WHERE p.\"time\" < i.\"time\""),
            0);
}

TEST(SimulateLongVideo, EveryClickStartsOnePlaybackAndOnlyClicksDo) {
  EXPECT_EQ(count(table("impressions") + " i FULL JOIN " + table("playbacks") +
                  " p ON i.imp_id = p.imp_id WHERE (i.clicked AND p.pb_id IS NULL) OR (p.imp_id IS "
                  "NOT NULL AND (i.imp_id IS NULL OR NOT i.clicked OR i.user_id <> p.user_id OR "
                  "i.item_id <> p.item_id OR i.collection <> p.collection OR p.\"time\" < "
                  "i.\"time\"))"),
            0);
  EXPECT_EQ(count(table("playbacks") + " JOIN " + table("collections") +
                  " ON collection = id WHERE (kind = 'familiar') <> (imp_id IS NULL)"),
            0);
}

TEST(SimulateLongVideo, AFirstPlaybackComesFromAnUnfamiliarRow) {
  EXPECT_EQ(count("(SELECT imp_id, row_number() OVER (PARTITION BY user_id, item_id ORDER BY "
                  "\"time\", pb_id) AS n FROM " +
                  table("playbacks") + ") WHERE (n = 1) <> (imp_id IS NOT NULL)"),
            0);
}

// Of a series no more than all its episodes; of a movie its runtime, re-watching apart.
TEST(SimulateLongVideo, MinutesAreBoundedByWhatThereIs) {
  DuckDb db;
  const LongVideoWorld& world = oracle().world();
  int64_t pairs = 0;
  db.query(
      "SELECT item_id, sum(minutes) FILTER (WHERE collection <> 'rewatch'), min(minutes), "
      "max(minutes) FILTER (WHERE collection = 'rewatch'), count(*) FILTER (WHERE collection = "
      "'rewatch') "
      "FROM " +
          table("playbacks") + " GROUP BY user_id, item_id",
      [&](const ResultChunk& chunk) {
        for (int64_t r = 0; r < chunk.rows(); ++r, ++pairs) {
          const Show show = world.show(*oracle().find_item(chunk.text(0, r)));
          EXPECT_LE(chunk.number(1, r), show.total() * (1 + 1e-5));
          EXPECT_GT(chunk.number(2, r), 0);
          if (chunk.integer(4, r) > 0) {
            EXPECT_TRUE(show.movie);
            EXPECT_LE(chunk.number(3, r), show.total() * (1 + 1e-5));
            EXPECT_GE(chunk.number(1, r), 0.95 * show.total() * (1 - 1e-5));
          }
        }
      });
  EXPECT_GT(pairs, 1000);
}

TEST(SimulateLongVideo, FollowUpComesOnLaterDaysAndAtMostOnceADay) {
  EXPECT_EQ(count("(SELECT 1 FROM " + table("playbacks") +
                  " GROUP BY user_id, item_id, date_trunc('day', \"time\") HAVING count(*) > 1)"),
            0);
}

TEST(SimulateLongVideo, LogDaysHaveImpressionsAttributionDaysOnlyFollowUp) {
  EXPECT_EQ(count(table("impressions") + " WHERE \"time\" < TIMESTAMP '2024-03-04' OR \"time\" >= "
                                         "TIMESTAMP '2024-03-13'"),
            0);
  EXPECT_EQ(count(table("playbacks") + " WHERE \"time\" >= TIMESTAMP '2024-03-13' AND imp_id IS "
                                       "NOT NULL"),
            0);
  EXPECT_GT(count(table("playbacks") + " WHERE \"time\" >= TIMESTAMP '2024-03-20'"), 0);
  EXPECT_EQ(count(table("playbacks") + " WHERE \"time\" >= TIMESTAMP '2024-03-21'"), 0);
}

TEST(SimulateLongVideo, NothingIsShownBeforeItsRelease) {
  EXPECT_EQ(count(table("impressions") + " JOIN " + table("items") +
                  " USING (item_id) WHERE \"time\" < released"),
            0);
  EXPECT_EQ(count(table("items") + " WHERE released >= TIMESTAMP '2024-03-05'"), 8);
}

TEST(SimulateLongVideo, ClicksAreAllKeptAndAreTheWantedShareOfWhatIsKept) {
  DuckDb db;
  EXPECT_EQ(count(table("impressions") + " WHERE clicked AND NOT kept"), 0);
  for (const auto& [type, share] : std::map<std::string, double>{{"tv", 0.225}, {"movie", 0.258}}) {
    const std::string kept = table("impressions") + " WHERE kept AND \"type\" = '" + type + "'";
    const auto rows = static_cast<double>(count(kept));
    const auto got = *db.query_number("SELECT avg(clicked::INT) FROM " + kept);
    EXPECT_GT(rows, 2000);
    EXPECT_NEAR(got, share, 4 * share / std::sqrt(rows)) << type;  // the draws of the unclicked
  }
}

// What is kept does not depend on slot, moment or score: compared by position.
TEST(SimulateLongVideo, DownSamplingIsEven) {
  DuckDb db;
  const std::string unclicked = table("impressions") + " WHERE NOT clicked AND \"type\" = 'tv'";
  const double all = *db.query_number("SELECT avg(kept::INT) FROM " + unclicked);
  for (int position = 1; position <= 8; ++position) {
    const std::string at = unclicked + " AND position = " + std::to_string(position);
    const auto rows = static_cast<double>(count(at));
    EXPECT_NEAR(*db.query_number("SELECT avg(kept::INT) FROM " + at), all,
                4 * std::sqrt(all * (1 - all) / rows));
  }
}

TEST(SimulateLongVideo, ClicksComeAtTheRateOfTheirLawAndOfTheTarget) {
  double clicks = 0, expected = 0, impressions = 0;
  for (const char* type : {"tv", "movies"}) {
    const Json& measured = shared().summary["measured"][type];
    impressions += measured["impressions"].get<double>();
    clicks += measured["clicks"].get<double>();
    expected +=
        measured["expected_click_rate"].get<double>() * measured["impressions"].get<double>();
  }
  EXPECT_NEAR(clicks, expected, 4 * std::sqrt(expected));
  EXPECT_NEAR(expected / impressions, 0.04, 0.0015);
}

TEST(SimulateLongVideo, CountsInTheSummaryAreThoseOfTheLog) {
  const Json& measured = shared().summary["measured"];
  EXPECT_EQ(count(table("impressions")), measured["tv"]["impressions"].get<int64_t>() +
                                             measured["movies"]["impressions"].get<int64_t>());
  EXPECT_EQ(count(table("impressions") + " WHERE clicked AND \"type\" = 'tv'"),
            measured["tv"]["clicks"]);
  EXPECT_EQ(count(table("playbacks") + " WHERE \"type\" = 'movie'"),
            measured["movies"]["playbacks"]);
  EXPECT_EQ(count(table("reactions")), shared().summary["counts"]["reactions"]);
  EXPECT_EQ(Json::parse(read_file(shared().path / "world.json")), shared().summary);
}

// The snapshot is the day; the first one knows nothing, and the scores' distribution moves on.
TEST(SimulateLongVideo, ScoresAreOfTheDaysSnapshotAndDrift) {
  DuckDb db;
  EXPECT_EQ(count(table("impressions") +
                  " WHERE snapshot <> date_diff('day', TIMESTAMP '2024-03-04', \"time\")"),
            0);
  const auto of_day = [&](const char* what, int day) {
    return *db.query_number("SELECT " + std::string(what) + " FROM " + table("impressions") +
                            " WHERE snapshot = " + std::to_string(day));
  };
  EXPECT_NEAR(of_day("stddev_pop(score_click)", 0), 0, 1e-6);
  EXPECT_GT(of_day("stddev_pop(score_click)", 4), of_day("stddev_pop(score_click)", 1) + 0.05);
  EXPECT_GT(of_day("stddev_pop(score_dwm)", 4), of_day("stddev_pop(score_dwm)", 1) + 0.05);
  EXPECT_GT(std::abs(of_day("avg(score_click)", 8) - of_day("avg(score_click)", 0)), 0.05);
}

// What the snapshots learned is of use: their scores tell clicks, and they order the rows.
TEST(SimulateLongVideo, TheLiveRankerRanks) {
  DuckDb db;
  const std::string late = table("impressions") + " WHERE snapshot >= 4";
  EXPECT_GT(
      *db.query_number("SELECT avg(score_click) FILTER (WHERE clicked) - avg(score_click) FILTER "
                       "(WHERE NOT clicked) FROM " +
                       late),
      0.15);
  EXPECT_EQ(count("(SELECT score_click + score_dwm - lag(score_click + score_dwm) OVER (PARTITION "
                  "BY request_id ORDER BY position) AS step FROM " +
                  table("impressions") + ") WHERE step > 1e-5"),
            0);
}

// The oracle's roll-outs against what happened: DWM by the definition of methods B2, summed over
// all discoveries, within four deviations.
TEST(SimulateLongVideo, DiscoveriesBringTheMinutesThatTheOracleExpects) {
  DuckDb db;
  double happened = 0, expected = 0, variance = 0;
  int64_t pairs = 0;
  db.query("WITH d AS (SELECT user_id, item_id, \"time\" AS t0 FROM " + table("playbacks") +
               " WHERE imp_id IS NOT NULL) SELECT user_id, item_id, sum(least(minutes, epoch(t0 + "
               "INTERVAL 7 DAY - p.\"time\") / 60)) FROM d JOIN " +
               table("playbacks") +
               " p USING (user_id, item_id) WHERE p.\"time\" < t0 + INTERVAL 7 DAY GROUP BY ALL",
           [&](const ResultChunk& chunk) {
             for (int64_t r = 0; r < chunk.rows(); ++r, ++pairs) {
               const double mean = oracle().expected_dwm(*oracle().find_user(chunk.text(0, r)),
                                                         *oracle().find_item(chunk.text(1, r)));
               const double seen = chunk.number(2, r);
               happened += seen;
               expected += mean;
               variance += (seen - mean) * (seen - mean);
             }
           });
  ASSERT_GT(pairs, 1000);
  // Roll-outs share their luck, so their mean may be off by sd(DWM) / 16 for all pairs alike.
  const double common = std::sqrt(variance / static_cast<double>(pairs)) / 16;
  const double sampling = std::sqrt(variance) / static_cast<double>(pairs);
  EXPECT_NEAR(happened / static_cast<double>(pairs), expected / static_cast<double>(pairs),
              4 * std::hypot(common, sampling));
}

// The log is one way through the luck that outcome() tells in advance.
TEST(LongVideoOracle, OutcomesAreWhatTheLogHolds) {
  DuckDb db;
  int64_t pairs = 0, equal = 0;
  db.query("WITH d AS (SELECT user_id, item_id, \"time\" AS t0, minutes AS first FROM " +
               table("playbacks") +
               " WHERE imp_id IS NOT NULL) SELECT user_id, item_id, t0, first, sum(least(minutes, "
               "epoch(t0 + INTERVAL 7 DAY - p.\"time\") / 60)) FROM d JOIN " +
               table("playbacks") +
               " p USING (user_id, item_id) WHERE p.\"time\" < t0 + INTERVAL 7 DAY GROUP BY ALL",
           [&](const ResultChunk& chunk) {
             for (int64_t r = 0; r < chunk.rows(); ++r, ++pairs) {
               const Viewing viewing = oracle().outcome(*oracle().find_user(chunk.text(0, r)),
                                                        *oracle().find_item(chunk.text(1, r)),
                                                        oracle().day_of(chunk.integer(2, r)));
               EXPECT_NEAR(viewing.first, chunk.number(3, r), 1e-3);
               equal += std::abs(viewing.week - chunk.number(4, r)) < 0.01 ? 1 : 0;
             }
           });
  ASSERT_GT(pairs, 1000);
  EXPECT_GT(static_cast<double>(equal), 0.95 * static_cast<double>(pairs));
}

TEST(SimulateLongVideo, ReactionsFollowAFirstPlayback) {
  EXPECT_EQ(count(table("reactions") + " r ANTI JOIN (SELECT * FROM " + table("playbacks") +
                  " WHERE imp_id IS NOT NULL) p ON r.user_id = p.user_id AND r.item_id = "
                  "p.item_id AND r.\"time\" > p.\"time\""),
            0);
  EXPECT_EQ(count("(SELECT 1 FROM " + table("reactions") +
                  " WHERE kind <> 'save' GROUP BY user_id, item_id HAVING count(*) > 1)"),
            0);
  double like = 0, dislike = 0, likes = 0, dislikes = 0;
  DuckDb db;
  db.query("SELECT p.user_id, p.item_id, r.kind FROM " + table("playbacks") + " p LEFT JOIN " +
               table("reactions") +
               " r ON r.user_id = p.user_id AND r.item_id = p.item_id AND r.kind <> 'save' WHERE "
               "p.imp_id IS NOT NULL",
           [&](const ResultChunk& chunk) {
             for (int64_t r = 0; r < chunk.rows(); ++r) {
               const double s = oracle().world().satisfaction(
                   *oracle().find_user(chunk.text(0, r)), *oracle().find_item(chunk.text(1, r)));
               like += 0.15 * s * s;
               dislike += 0.08 * (1 - s) * (1 - s);
               if (chunk.is_null(2, r)) continue;
               (chunk.text(2, r) == "like" ? likes : dislikes) += 1;
             }
           });
  EXPECT_NEAR(likes, like, 4 * std::sqrt(like));
  EXPECT_NEAR(dislikes, dislike, 4 * std::sqrt(dislike));
}

TEST(SimulateLongVideo, DoesNotDependOnThreads) {
  Json small = recipe();
  small["world"].update(Json{{"users", 120}, {"days", 3}, {"attribution_days", 2}});
  set_threads(3);
  const SimulatedFolder three(small, "long-three");
  set_threads(1);
  const SimulatedFolder one(small, "long-one");
  set_threads(0);
  EXPECT_EQ(one.summary, three.summary);
  EXPECT_EQ(read_file(one.path / "truth/manifest.json"),  // holds the digest of every column
            read_file(three.path / "truth/manifest.json"));
  for (const char* name : {"impressions", "playbacks", "reactions", "users", "items"}) {
    const std::string a = "SELECT * FROM " + table(one.path, name);
    const std::string b = "SELECT * FROM " + table(three.path, name);
    EXPECT_EQ(count("(" + a + " EXCEPT ALL " + b + ")"), 0) << name;
    EXPECT_EQ(count("(" + b + " EXCEPT ALL " + a + ")"), 0) << name;
  }
}

TEST(SimulateLongVideo, SeedOptionReplacesTheRecipes) {
  Json small = recipe();
  small["world"].update(Json{{"users", 60}, {"days", 2}, {"attribution_days", 0}});
  const fs::path path = testing::scratch("long-seed");
  const Json summary = simulate(small, {.out = path, .seed = 5}).summary;
  fs::remove_all(path);
  EXPECT_EQ(summary["options"]["seed"], 5);
  EXPECT_EQ(summary["options"]["log_seed"], 6);
  EXPECT_NE(summary["calibration"], shared().summary["calibration"]);
  EXPECT_EQ(summary["constants_sha256"], shared().summary["constants_sha256"]);
}

}  // namespace
}  // namespace retort
