// The recipes of the long-video service on a log of its shape, and what streams, scores, candidates
// and `where` make of a log.
#include <cmath>
#include <set>

#include "tests/log/ingest_support.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/dataset/assembler.h"
#include "retort/dataset/loader.h"
#include "retort/log/days.h"
#include "retort/sim/simulate.h"

namespace retort {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kStart = 19'786 * kDay;  // 2024-03-04
constexpr int kDays = 14;

/// A log with the files and columns of the simulated service: 40 users, 20 series, 30 movies.
void write_log(const LogFolder& log) {
  DuckDb db;
  const auto save = [&](const std::string& table) {
    db.run(fmt::format("COPY {} TO {} (FORMAT parquet)", table,
                       sql_string((log.path() / (table + ".parquet")).string())));
  };
  db.run(fmt::format(
      "CREATE TABLE impressions AS SELECT row_number() OVER (ORDER BY d, u, t, s) AS imp_id, d * "
      "1000 + u AS request_id, 'u' || u AS user_id, CASE t WHEN 0 THEN 't' || (h % 20) ELSE 'm' || "
      "(h % 30) END AS item_id, CASE t WHEN 0 THEN 'tv_for_you' ELSE 'movies_for_you' END AS "
      "collection, CASE t WHEN 0 THEN 'tv' ELSE 'movie' END AS type, CAST(s AS INTEGER) AS "
      "position, make_timestamp({} + d * {} + u * 60000000) AS time, h % 9 = 0 AS clicked, h % 9 = "
      "0 OR h % 3 = 1 AS kept, CAST(h % 100 AS REAL) AS score_click, CAST(h % 7 AS REAL) AS "
      "score_dwm, CAST(d AS INTEGER) AS snapshot FROM (SELECT d, u, t, s, hash(d * 7919 + u * "
      "104729 "
      "+ t * 31 + s) // 64 AS h FROM range({}) a(d), range(40) b(u), range(2) c(t), range(1, 9) "
      "e(s))",
      kStart, kDay, kDays));
  save("impressions");
  // What was clicked is played at once and again after 3 and 9 days.
  db.run(fmt::format(
      "CREATE TABLE playbacks AS SELECT row_number() OVER (ORDER BY imp_id, n) AS pb_id, user_id, "
      "item_id, type, time + INTERVAL 1 SECOND + INTERVAL 1 DAY * n AS time, CAST(20 + imp_id % 30 "
      "AS REAL) AS minutes, CASE n WHEN 0 THEN collection ELSE 'continue' END AS collection, CASE "
      "n "
      "WHEN 0 THEN imp_id END AS imp_id FROM impressions, (VALUES (0), (3), (9)) t(n) WHERE "
      "clicked"));
  save("playbacks");
  db.run(
      "CREATE TABLE collections AS SELECT * FROM (VALUES ('continue', 'familiar', 'C'), "
      "('rewatch', "
      "'familiar', 'R'), ('tv_for_you', 'unfamiliar', 'T'), ('movies_for_you', 'unfamiliar', 'M')) "
      "t(id, kind, title)");
  save("collections");
  db.run(
      "CREATE TABLE reactions AS SELECT user_id, item_id, type, time + INTERVAL 2 HOUR AS time, "
      "CASE "
      "imp_id % 3 WHEN 0 THEN 'like' WHEN 1 THEN 'dislike' ELSE 'save' END AS kind FROM "
      "impressions "
      "WHERE clicked");
  save("reactions");
  db.run(
      "CREATE TABLE users AS SELECT 'u' || u AS user_id, '25-34' AS age, CASE u % 2 WHEN 0 THEN "
      "'f' "
      "ELSE 'm' END AS gender, ['g' || (u % 5)] AS genre_prefs, ['x', 'y'] AS tag_prefs FROM "
      "range(40) t(u)");
  save("users");
  db.run(
      "CREATE TABLE items AS SELECT CASE WHEN i < 20 THEN 't' || i ELSE 'm' || (i - 20) END AS "
      "item_id, CASE WHEN i < 20 THEN 'tv' ELSE 'movie' END AS type, ['g' || (i % 5), 'g' || (i % "
      "3)] AS genres, TIMESTAMP '2020-01-01' AS released FROM range(50) t(i)");
  save("items");
}

class LongVideo : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    log_ = new LogFolder;
    write_log(*log_);
    for (const std::string type : {"tv", "movies"}) {
      const fs::path file =
          fs::path(RETORT_SOURCE) / "recipes/data" / ("long_video_" + type + ".toml");
      results_[type] = retort::ingest(load_recipe(file, "", {}),
                                      {.from = log_->path(), .out = log_->path() / type});
      datasets_[type] = std::make_unique<Dataset>(log_->path() / type, true);
    }
  }
  static void TearDownTestSuite() {
    datasets_.clear();
    delete log_;
  }
  static int64_t count(const std::string& table, const std::string& condition) {
    return DuckDb()
        .query_integer(fmt::format("SELECT count(*) FROM {} WHERE {}",
                                   sql_string((log_->path() / (table + ".parquet")).string()),
                                   condition))
        .value();
  }
  static inline LogFolder* log_ = nullptr;
  static inline std::map<std::string, IngestResult> results_;
  static inline std::map<std::string, std::unique_ptr<Dataset>> datasets_;
};

TEST_F(LongVideo, ADatasetARowOfTheService) {
  for (const auto& [name, data] : datasets_) {
    const std::string type = name == "tv" ? "tv" : "movie";
    const IngestResult& result = results_.at(name);
    EXPECT_EQ(data->items(), 50);
    EXPECT_EQ(data->candidates().size(), type == "tv" ? 20u : 30u);
    for (const int32_t item : data->candidates())
      EXPECT_EQ(data->item_keys()[item].front(), type.front());
    EXPECT_EQ(data->impressions().size(), count("impressions", "kept AND type = '" + type + "'"));
    for (const int32_t item : data->impressions().item) ASSERT_TRUE(data->is_candidate(item));
    EXPECT_EQ(data->stream("watched_tv").item.size(), count("playbacks", "type = 'tv'"));
    EXPECT_EQ(data->stream("watched_movies").item.size(), count("playbacks", "type = 'movie'"));
    EXPECT_EQ(data->stream("likes_tv").item.size(),
              count("reactions", "kind = 'like' AND type = 'tv'"));
    EXPECT_EQ(data->stream("saves_movies").item.size(),
              count("reactions", "kind = 'save' AND type = 'movie'"));
    EXPECT_EQ(data->stream("shown").item.size(), count("impressions", "true"));
    EXPECT_TRUE(data->stream("likes_tv").seconds.empty());
    EXPECT_EQ(result.streams.at("shown").kept, result.streams.at("shown").rows_read);
    EXPECT_EQ(result.split.at("test_from"), kStart + (kDays - 1) * kDay);
    EXPECT_EQ(result.split.at("valid_from"), kStart + (kDays - 2) * kDay);
    EXPECT_EQ(result.attribution.at("cut_at"), kStart + (kDays - 1) * kDay);
    EXPECT_EQ(data->manifest().at("attribution").at("days"), 7);
    EXPECT_THAT(describe(result), HasSubstr("attribution over 7 days"));
  }
}

TEST_F(LongVideo, SecondsAreThoseOfTheWindowOrUnknownByDate) {
  const Dataset& data = *datasets_.at("tv");
  const Impressions& shown = data.impressions();
  EXPECT_TRUE(shown.unclicked_seconds);
  int known = 0, unknown = 0;
  for (int64_t row = 0; row < shown.size(); ++row) {
    const auto at = static_cast<size_t>(row);
    const bool training = shown.split[at] == 0;
    const int64_t end = training ? kStart + (kDays - 1) * kDay : INT64_MAX;
    const int64_t begin = shown.time[at] + (shown.clicked[at] != 0 ? 1'000'000 : 0);
    // The last playback of the log is nine days behind the last discovery: the rest is known.
    ASSERT_EQ(std::isnan(shown.seconds[at]), begin + 7 * kDay > end) << row;
    if (shown.clicked[at] == 0) {
      ASSERT_TRUE(std::isnan(shown.seconds[at]) || shown.seconds[at] == 0);
      continue;
    }
    ASSERT_TRUE(std::isnan(shown.seconds[at]) || shown.seconds[at] >= 2 * 20 * 60);
    (std::isnan(shown.seconds[at]) ? unknown : known) += 1;
    const auto click = static_cast<size_t>(shown.click[at]);
    ASSERT_EQ(std::isnan(data.clicks().seconds[click]), std::isnan(shown.seconds[at]));
  }
  EXPECT_GT(known, 50);
  EXPECT_GT(unknown, 50);
}

TEST_F(LongVideo, AClickIsTheFirstPlaybackOfAPair) {
  const Dataset& data = *datasets_.at("movies");
  std::set<std::pair<int32_t, int32_t>> pairs;
  for (size_t row = 0; row < data.clicks().item.size(); ++row)
    EXPECT_TRUE(pairs.emplace(data.clicks().user[row], data.clicks().item[row]).second);
  EXPECT_EQ(DuckDb().query_integer(fmt::format(
                "SELECT count(*) FROM (SELECT DISTINCT user_id, item_id FROM {} WHERE type = "
                "'movie')",
                sql_string((log_->path() / "playbacks.parquet").string()))),
            std::ssize(pairs));
}

TEST_F(LongVideo, BatchesOfImpressionsHoldFeaturesAndLoggedScores) {
  const Dataset& data = *datasets_.at("tv");
  LoaderOptions options;
  options.rows = "impressions";
  options.batch = 200;
  const Loader loader(data, options);
  const auto order = data.schema().sparse_of(Side::kUser);
  size_t watched = order.size();
  for (size_t i = 0; i < order.size(); ++i)
    if (data.schema().features[static_cast<size_t>(order[i])].name == "watched_tv") watched = i;
  ASSERT_LT(watched, order.size());
  EXPECT_EQ(data.schema().sparse_of(Side::kItem).size(), 1u);  // the id alone
  EXPECT_EQ(data.schema().find("item_id")->rows, 51);
  size_t ids = 0;
  for (int64_t index = 0; index < loader.batches(); ++index) {
    Batch batch;
    loader.load(0, index, batch);
    ASSERT_EQ(batch.logged.snapshot.size(), batch.item.size());
    for (size_t r = 0; r < batch.item.size(); ++r)
      ASSERT_EQ(batch.logged.snapshot[r], (batch.time[r] - kStart) / kDay);
    for (const int32_t id : batch.users.sparse[watched].ids) ASSERT_GT(id, 0);
    ids += batch.users.sparse[watched].ids.size();
  }
  EXPECT_GT(ids, 100u);
}

TEST_F(LongVideo, TheSqlOfTheRecipeIsPrinted) {
  const Json recipe =
      load_recipe(fs::path(RETORT_SOURCE) / "recipes/data/long_video_movies.toml", "", {});
  const std::string sql = attribution_sql(recipe);
  for (const char* part : {"FROM 'playbacks.parquet'", "WHERE type = 'movie'", "INTERVAL 7 DAY",
                           "i.score_click", ":test_start", "c.kind = 'unfamiliar'"})
    EXPECT_THAT(sql, HasSubstr(part));
  Json without = recipe;
  without.erase("attribution");
  EXPECT_THROW(attribution_sql(without), ConfigError);
}

TEST(LongVideoWorld, IsSimulatedAndIngestedWhole) {
  const ScratchFolder folder;
  const Json world = load_recipe(fs::path(RETORT_SOURCE) / "recipes/data/long_video.toml", "tiny",
                                 {"world.users=200", "world.days=10"});
  simulate(world, {.out = folder / "world", .seed = {}});
  const auto count = [&](const std::string& what, const std::string& condition) {
    return DuckDb()
        .query_integer(fmt::format("SELECT count(*) FROM {} WHERE {}",
                                   sql_string((folder / ("world/" + what + ".parquet")).string()),
                                   condition))
        .value();
  };
  for (const std::string name : {"tv", "movies"}) {
    const std::string type = name == "tv" ? "tv" : "movie";
    const Json recipe = load_recipe(
        fs::path(RETORT_SOURCE) / "recipes/data" / ("long_video_" + name + ".toml"), "tiny", {});
    const IngestResult result = ingest(recipe, {.from = folder / "world", .out = folder / name});
    EXPECT_TRUE(result.rejected.empty());
    const Dataset data(folder / name, true);
    // The platform's own mark of a click and the attribution's are the same.
    EXPECT_EQ(data.clicks().size(), count("impressions", "clicked AND type = '" + type + "'"));
    EXPECT_EQ(data.impressions().size(), count("impressions", "kept AND type = '" + type + "'"));
    EXPECT_EQ(std::ssize(data.candidates()), count("items", "type = '" + type + "'"));
    EXPECT_EQ(result.split.at("test_from"), kStart + 9 * kDay);
    EXPECT_EQ(std::ssize(data.stream("watched_tv").item), count("playbacks", "type = 'tv'"));
    for (const Split split : {Split::kTrain, Split::kValid, Split::kTest}) {
      double known = 0, seconds = 0;
      for (const int64_t row : data.rows_of(split))
        if (const float value = data.clicks().seconds[static_cast<size_t>(row)];
            !std::isnan(value)) {
          known += 1;
          seconds += value;
        }
      ASSERT_GT(known, 5) << name;
      EXPECT_GT(seconds / known, 600) << name;
      EXPECT_LT(seconds / known, 7 * 86400) << name;
      const auto rows = static_cast<double>(data.rows_of(split).size());
      EXPECT_TRUE(split == Split::kTrain ? known < rows : known == rows) << name;
    }
  }
}

constexpr const char* kIds =
    "[[features]]\nname = \"item_id\"\nside = \"item\"\ncolumn = \"item\"\n";

/// Streams of a small log, and what is wrong with a recipe that uses them badly.
class Streams : public testing::Test {
 protected:
  void SetUp() override {
    log_.write("log.csv",
               "user,item,time,seconds,shown\na,x,100,5,1\na,y,200,,0\nb,x,150,9,1\nc,z,400,3,1\n");
    log_.write("likes.csv", "who,what,moment\na,x,50\na,w,60\nb,,70\na,x,80\nn,x,90\na,y,soon\n");
    log_.write("items.csv", "id,kind\nx,tv\ny,tv\nz,movie\n");
  }
  std::string likes(const std::string& more = "") const {
    return "[[streams]]\nname = \"likes\"\npath = \"likes.csv\"\nuser = \"who\"\nitem = \"what\"\n"
           "time = \"moment\"\n" +
           more;
  }
  std::string recipe(const std::string& more) const {
    return csv_events("[split]\nkind = \"user_last\"\n[read]\nthreshold = \"none\"\n" + more);
  }
  std::string error(const std::string& more) const {
    return log_.error_of<ConfigError>(recipe(more));
  }
  LogFolder log_;
};

TEST_F(Streams, AreStoredWithTheirRejectsCounted) {
  const std::string loose = "[ingest]\nmax_rejected = 0.5\n";
  const IngestResult result = log_.ingest(recipe(loose + likes() + kIds));
  const EventCounts& counts = result.streams.at("likes");
  EXPECT_EQ(counts.rows_read, 6);
  EXPECT_EQ(counts.kept, 4);
  EXPECT_EQ(counts.rejected.at("item_missing"), 1);
  EXPECT_EQ(counts.rejected.at("time_unparsable"), 1);
  EXPECT_EQ(to_json(result).at("streams").at("likes").at("kept"), 4);
  const Dataset data = log_.open();
  EXPECT_EQ(data.users(), 4);  // n is known from the stream alone
  EXPECT_EQ(data.items(), 4);  // and so is w
  const Stream& stream = data.stream("likes");
  const auto a = static_cast<size_t>(data.find_user("a").value());
  ASSERT_EQ(stream.user_begin[a + 1] - stream.user_begin[a], 3);
  EXPECT_EQ(stream.item[static_cast<size_t>(stream.user_begin[a])], data.find_item("x"));
  EXPECT_EQ(stream.item[static_cast<size_t>(stream.user_begin[a]) + 1], data.find_item("w"));
  EXPECT_EQ(stream.past_end(static_cast<int32_t>(a), 60'000'000), stream.user_begin[a] + 1);
  EXPECT_THAT(log_.error_of<DataError>(recipe("[ingest]\nmax_rejected = 0.1\n" + likes() + kIds)),
              HasSubstr("item_missing 1, time_unparsable 1"));
  const IngestResult part =
      log_.ingest(recipe(likes("where = \"who = 'a' AND moment <> 'soon'\"\n") + kIds));
  EXPECT_EQ(part.streams.at("likes").rows_read, 3);
}

TEST_F(Streams, WholeNumbersInOneLogAndTextsInAnotherAreTheSameKeys) {
  log_.write_parquet("events.parquet",
                     "SELECT * FROM (VALUES (7, 1, 100), (8, 2, 200), (7, 2, 300)) t(u, i, t)");
  log_.write("likes.csv", "who,what,moment\n7,1,50\nx,2,60\n");
  log_.ingest(
      "[[events]]\npath = \"events.parquet\"\nuser = \"u\"\nitem = \"i\"\ntime = \"t\"\n[split]\n"
      "kind = \"user_last\"\n" +
      likes() + kIds);
  const Dataset data = log_.open();
  EXPECT_EQ(data.users(), 3);
  EXPECT_EQ(data.items(), 2);
  EXPECT_EQ(data.stream("likes").item.size(), 2u);
}

TEST_F(Streams, VocabulariesMayHoldEveryTextOfATable) {
  const std::string items = "[items]\npath = \"items.csv\"\nkey = \"id\"\n";
  const auto rows = [&](const char* min_count) {
    log_.ingest(recipe("[ingest]\nmax_rejected = 0.5\n" + items + likes() + kIds + min_count));
    return log_.open().schema().find("item_id")->rows;
  };
  EXPECT_EQ(rows(""), 2);  // x: the other clicks are their users' last
  EXPECT_EQ(rows("min_count = 0\n"), 5);
}

TEST_F(Streams, CandidatesComeFromTheTableOfItems) {
  const std::string items =
      "[items]\npath = \"items.csv\"\nkey = \"id\"\n[evaluate]\ncandidates = ";
  log_.ingest(recipe(items + "\"kind = 'tv'\"\n" + kIds));
  const Dataset data = log_.open();
  EXPECT_THAT(data.candidates(), ElementsAre(*data.find_item("x"), *data.find_item("y")));
  EXPECT_THAT(log_.error_of<DataError>(recipe(items + "\"kind = 'opera'\"\n" + kIds)),
              HasSubstr("no row of the table [items] meets it"));
  EXPECT_THAT(error(items + "\"kind\"\n" + kIds), HasSubstr("not a condition"));
  EXPECT_THAT(error(std::string("[evaluate]\ncandidates = \"true\"\n") + kIds),
              HasSubstr("the table [items]"));
}

TEST_F(Streams, ScoresOfTheLogStandBesideImpressions) {
  log_.write("log.csv",
             "user,item,time,seconds,clicked,p,q,s\na,x,100,5,1,0.5,1.5,3\na,y,200,0,0,-2,,\n"
             "b,x,150,9,1,1,1,4\na,z,300,9,1,0,0,4\n");
  const std::string scores =
      "clicked = \"clicked\"\nscores = {click = \"p\", dwm = \"q\", snapshot "
      "= \"s\"}\n[split]\nkind = \"user_last\"\n";
  log_.ingest(csv_events(scores + kIds));
  const Dataset data = log_.open();
  const Impressions& shown = data.impressions();
  EXPECT_THAT(shown.score_click, ElementsAre(0.5, 1, -2, 0));
  EXPECT_THAT(shown.snapshot, ElementsAre(3, 4, -1, 4));
  EXPECT_TRUE(std::isnan(shown.score_dwm[2]));
  EXPECT_TRUE(shown.unclicked_seconds);  // the unclicked row says 0
  EXPECT_THAT(
      log_.error_of<ConfigError>(csv_events("scores = {click = \"p\"}\n" + std::string(kIds))),
      HasSubstr("give click, dwm and snapshot"));
  EXPECT_THAT(
      log_.error_of<DataError>(csv_events(
          "scores = {click = \"pp\", dwm = \"q\", snapshot = \"s\"}\n" + std::string(kIds))),
      HasSubstr("events.scores.click"));
}

TEST_F(Streams, WrongRecipesAreNamed) {
  const std::string sequence =
      "[[features]]\nname = \"f\"\nkind = \"sequence\"\nof = \"item_id\"\nlast = 5\n";
  EXPECT_THAT(error(likes() + kIds + sequence + "stream = \"liked\"\n"),
              HasSubstr("there is no stream 'liked'; there are: likes"));
  EXPECT_THAT(error(likes() + kIds + sequence +
                    "stream = \"likes\"\ndistinct = true\nwith = [\"seconds\"]\n"),
              HasSubstr("gives no seconds"));
  EXPECT_THAT(error(likes() + kIds + sequence + "stream = \"likes\"\nwith = [\"count\"]\n"),
              HasSubstr("distinct = true"));
  EXPECT_THAT(error(likes() + likes() + kIds), HasSubstr("'likes' occurs twice"));
  EXPECT_THAT(error(likes("secs = \"moment\"\n") + kIds), HasSubstr("streams.1.secs"));
  EXPECT_THAT(error(std::string("[[streams]]\nname = \"a b\"\npath = \"likes.csv\"\n") + kIds),
              HasSubstr("no name"));
  EXPECT_THAT(error(likes() + "[evaluate]\nexclude_streams = [\"likes\"]\n" + kIds),
              HasSubstr("exclude_seen = true"));
  EXPECT_THAT(
      error(likes() + "[evaluate]\nexclude_seen = true\nexclude_streams = [\"x\"]\n" + kIds),
      HasSubstr("no stream 'x'"));
  EXPECT_THAT(error(likes("where = \"who\"\n") + kIds), HasSubstr("not a condition"));
  EXPECT_THAT(error("[[features]]\nname = \"f\"\ncolumn = \"user\"\nhidden = true\n"),
              HasSubstr("features.f.hidden"));
  EXPECT_THAT(log_.error_of<ConfigError>("[[events]]\nfrom = \"attribution\"\nuser = \"u\"\nitem = "
                                         "\"i\"\n" +
                                         std::string(kIds)),
              HasSubstr("'attribution'"));
}

TEST_F(Streams, WholeDaysEndTheLogAtMidnight) {
  log_.write("log.csv",
             "user,item,time,seconds\na,x,2024-03-04 10:00:00,5\na,y,2024-03-05 10:00:00,5\na,z,"
             "2024-03-06 01:00:00,7\n");
  const IngestResult result = log_.ingest(
      csv_events("[split]\nkind = \"time\"\nwhole_days = true\n[read]\nthreshold = \"none\"\n" +
                 std::string(kIds)));
  EXPECT_EQ(result.split.at("test_from"), kStart + 2 * kDay);
  EXPECT_EQ(result.split.at("valid_from"), kStart + kDay);
}

}  // namespace
}  // namespace retort
