// The log of exposures: rows in Parquet, what happens when there is no room, and the whole loop
// from a running server to a dataset.
#include "retort/server/exposure_log.h"

#include <cmath>
#include <map>
#include <set>
#include <thread>

#include "tests/bundle/tiny_bundle.h"
#include "tests/cli/executable.h"
#include "tests/server/raw_client.h"
#include "tests/server/retortd_process.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "retort/common/error.h"
#include "retort/log/duckdb.h"
#include "retort/server/trailing_popularity.h"

namespace retort {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

Exposure exposure_of(const std::string& request, int items) {
  Exposure shown{.request = request, .time = 1'700'000'000'000'000, .user = "u'1", .model = "m"};
  for (int i = 0; i < items; ++i)
    shown.items.push_back({.id = fmt::format("i{}", i), .score = 0.5f, .propensity = 0.25f});
  return shown;
}

struct ExposureLogTest : testing::Test {
  ScratchFolder scratch;
  fs::path folder = scratch / "log";
  std::string files(const std::string& kind) const {
    return "read_parquet('" + (folder / kind / "*.parquet").string() + "')";
  }
  /// A row an item shown.
  std::string shown() const {
    return "(SELECT * EXCLUDE (items, channels, scores, propensities), unnest(items) AS item_id, "
           "unnest(range(1, len(items) + 1)) AS position, unnest(coalesce(channels, "
           "list_transform(items, x -> 'personal'))) AS channel, "
           "unnest(scores) AS score, unnest(propensities) AS propensity FROM " +
           files("exposures") + ")";
  }
  int64_t count(const std::string& sql) const {
    DuckDb db;
    return db.query_integer(sql).value_or(-1);
  }
  std::vector<std::string> names(const std::string& kind) const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder / kind))
      names.push_back(entry.path().filename().string());
    return names;
  }
};

TEST_F(ExposureLogTest, CanBeReadFromTheBeginAndHasAllRowsAtTheEnd) {
  {
    ExposureLog log({.folder = folder});
    EXPECT_EQ(count("SELECT count(*) FROM " + shown()), 0);
    EXPECT_EQ(count("SELECT count(*) FROM " + files("events")), 0);
    Exposure first = exposure_of("r\"1", 3);
    first.version = 7;
    first.arm = "m";
    first.items[1].channel = Channel::kPopular;
    log.add(std::move(first));
    Exposure second = exposure_of("r2", 2);
    second.user = "";
    log.add(std::move(second));
    log.add(exposure_of("nothing shown", 0));
    const std::vector<UserEvent> events{
        {.item = "i1", .time = 1'700'000'000'000'001, .seconds = 12.5f},
        {.item = "i2", .time = 5, .clicked = false, .stream = "watched"}};
    log.add("u'1", events);
    EXPECT_EQ(log.counts().exposures, 5);
    EXPECT_EQ(log.counts().events, 2);
    EXPECT_EQ(log.counts().waiting, 7);
  }
  std::vector<std::string> rows;
  DuckDb db;
  const auto read = [&](const std::string& columns, const std::string& from) {
    rows.clear();
    db.query("SELECT concat_ws('|', " + columns + ") FROM " + from + " ORDER BY ALL",
             [&](const ResultChunk& chunk) {
               for (int64_t row = 0; row < chunk.rows(); ++row)
                 rows.emplace_back(chunk.text(0, row));
             });
    return rows;
  };
  EXPECT_THAT(
      read("request_id, coalesce(user_id, 'NULL'), item_id, epoch_us(time), position, model, "
           "version, coalesce(arm, 'NULL'), channel, score, propensity",
           shown()),
      ElementsAre("r\"1|u'1|i0|1700000000000000|1|m|7|m|personal|0.5|0.25",
                  "r\"1|u'1|i1|1700000000000000|2|m|7|m|popular|0.5|0.25",
                  "r\"1|u'1|i2|1700000000000000|3|m|7|m|personal|0.5|0.25",
                  "r2|NULL|i0|1700000000000000|1|m|0|NULL|personal|0.5|0.25",
                  "r2|NULL|i1|1700000000000000|2|m|0|NULL|personal|0.5|0.25"));
  EXPECT_THAT(read("user_id, item_id, epoch_us(time), clicked, coalesce(seconds, -1), "
                   "coalesce(stream, 'NULL')",
                   files("events")),
              ElementsAre("u'1|i1|1700000000000001|true|12.5|NULL", "u'1|i2|5|false|-1.0|watched"));
  for (const std::string& name : names("exposures"))
    EXPECT_TRUE(name.ends_with(".parquet") && name.front() != '.') << name;
}

TEST_F(ExposureLogTest, AFileIsWrittenOnceItIsLargeOrOldEnough) {
  const auto waits_for = [](const auto& condition) {
    for (int i = 0; i < 500 && !condition(); ++i) std::this_thread::sleep_for(10ms);
    return condition();
  };
  ExposureLog log({.folder = folder, .rows_a_file = 100, .every = 1h});
  for (int i = 0; i < 9; ++i) log.add(exposure_of(fmt::format("r{}", i), 10));
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(log.counts().files, 0) << "neither";
  log.add(exposure_of("r9", 10));
  EXPECT_TRUE(waits_for([&] { return log.counts().files == 1; }));
  EXPECT_TRUE(waits_for([&] { return log.counts().waiting == 0; }));
  EXPECT_EQ(count("SELECT count(*) FROM " + shown()), 100);

  const fs::path second = scratch / "second";
  ExposureLog soon({.folder = second, .every = 100ms});
  soon.add(exposure_of("r", 3));
  EXPECT_TRUE(waits_for([&] { return soon.counts().files == 1; }));
}

TEST_F(ExposureLogTest, WhatHasNoRoomIsDroppedAndCounted) {
  {
    ExposureLog log({.folder = folder, .every = 1h, .most_rows = 50});
    for (int i = 0; i < 8; ++i) log.add(exposure_of(fmt::format("r{}", i), 10));
    EXPECT_EQ(log.counts().exposures, 50);
    EXPECT_EQ(log.counts().dropped, 30);
  }
  EXPECT_EQ(count("SELECT count(*) FROM " + shown()), 50);
}

TEST_F(ExposureLogTest, ADiskThatTakesNothingCostsRowsAndNothingElse) {
  {
    ExposureLog log({.folder = folder, .every = 20ms});
    const auto settled = [&] {
      for (int i = 0; i < 500 && log.counts().waiting > 0; ++i) std::this_thread::sleep_for(10ms);
    };
    fs::remove_all(folder / "exposures");
    log.add(exposure_of("lost", 4));
    settled();
    EXPECT_EQ(log.counts().dropped, 4);
    fs::create_directories(folder / "exposures");
    log.add(exposure_of("kept", 4));
    settled();
    EXPECT_EQ(log.counts().files, 1);
    EXPECT_EQ(log.counts().dropped, 4);
  }
  EXPECT_EQ(count("SELECT count(*) FROM " + shown()), 4);
  write_file(scratch / "file", "no folder");
  EXPECT_THROW(ExposureLog({.folder = scratch / "file"}), IoError);
}

TEST_F(ExposureLogTest, ThreadsLoseNothing) {
  {
    ExposureLog log({.folder = folder, .rows_a_file = 2000, .every = 1h});
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&log, t] {
        for (int i = 0; i < 300; ++i) {
          log.add(exposure_of(fmt::format("{}-{}", t, i), 5));
          const UserEvent event{.item = "i1", .time = i};
          log.add(fmt::format("u{}", t), std::span(&event, 1));
        }
      });
  }
  EXPECT_EQ(count("SELECT count(DISTINCT (request_id, position)) FROM " + shown()), 6000);
  EXPECT_EQ(count("SELECT count(DISTINCT (user_id, time)) FROM " + files("events")), 1200);
}

/// What a client of the running server has seen and done.
struct LoopClient {
  const RetortdProcess& server;
  std::map<std::string, std::vector<double>> propensities{};  // of each request's positions
  std::set<std::pair<std::string, std::string>> clicks{};     // request and item
  int64_t rows = 0, draws = 0;

  /// Retrieves for the user and clicks an item in `every`.
  void visit(const std::string& user, Json body, int every) {
    body["user"] = user;
    const RawAnswer answer = ask(server.port(), "POST", "/v1/retrieve", body.dump());
    ASSERT_EQ(answer.status, 200) << answer.body;
    const Json json = answer.json();
    const std::string request = json.at("request_id");
    for (const Json& item : json.at("items")) {
      propensities[request].push_back(item.value("propensity", 1.0));
      draws += propensities[request].back() < 1;
      if (rows++ % every == 0) {
        clicks.emplace(request, item["id"]);
        click(user, item["id"], 40);
      }
    }
  }
  void click(const std::string& user, const std::string& item, double seconds) const {
    const Json event{{"item", item}, {"seconds", seconds}};
    ASSERT_EQ(ask(server.port(), "POST", "/v1/users/" + user + "/events", event.dump()).status,
              202);
  }
};

TEST_F(ExposureLogTest, WhatIsServedComesBackAsADataset) {
  const TinyPublication tiny(random_tiny_dataset(3));
  const Bundle bundle(tiny.publish().path);
  RetortdProcess server(
      {"one=" + tiny.bundles().string(), "two=" + tiny.bundles().string(), "--split", "1,1",
       "--exposures", folder.string(), "--explore", "2", "--explore-from", "4"},
      scratch / "log.txt");
  ASSERT_NE(server.port(), 0) << read_file(scratch / "log.txt");
  LoopClient client{server};
  for (int round = 0; round < 3; ++round)
    for (int32_t u = 0; u < 6; ++u) {
      const std::string user(bundle.user_keys()[u]);
      client.visit(user, {{"k", 5}, {"channels", {{"personal", 3}, {"popular", 2}}}}, 4);
      client.visit(user, {{"k", 4}, {"model", "two"}, {"explore", {{"slots", 0}}}}, 5);
      ask(server.port(), "POST", "/v1/retrieve", Json{{"user", user}, {"log", false}}.dump());
    }
  client.click("somebody", "not shown", 3);
  const std::string metrics = ask(server.port(), "GET", "/metrics").body;
  EXPECT_THAT(metrics, HasSubstr(fmt::format("retort_exposures_total {}\n", client.rows)));
  EXPECT_THAT(metrics, HasSubstr("retort_exposures_dropped_total 0\n"));
  server.signal(SIGTERM);
  ASSERT_EQ(server.wait(), 0) << read_file(scratch / "log.txt");

  // The rows are those that were answered, with their propensities.
  DuckDb db;
  int64_t rows = 0;
  db.query("SELECT request_id, position, propensity FROM " + shown(),
           [&](const ResultChunk& chunk) {
             for (int64_t row = 0; row < chunk.rows(); ++row, ++rows) {
               const auto& shown = client.propensities.at(std::string(chunk.text(0, row)));
               EXPECT_FLOAT_EQ(
                   static_cast<float>(chunk.number(2, row)),
                   static_cast<float>(shown.at(static_cast<size_t>(chunk.integer(1, row) - 1))));
             }
           });
  EXPECT_EQ(rows, client.rows);
  EXPECT_GE(client.draws, 18 * 2);
  EXPECT_EQ(count("SELECT count(*) FROM " + shown() + " WHERE propensity < 1"), client.draws);
  EXPECT_EQ(count("SELECT count(*) FROM " + shown() +
                  " WHERE (arm IS NULL) <> (request_id IN (SELECT request_id FROM " + shown() +
                  " GROUP BY request_id HAVING count(*) = 4))"),
            0)
      << "the arm is that of the split, not of requests that name a model";

  // Ingest reads the folder: shown rows, with the clicks that belong to them.
  const Outcome ingested = retort_command(
      "ingest '" RETORT_SOURCE "/recipes/data/served.toml' --from '" + folder.string() +
      "' --out '" + (scratch / "dataset").string() +
      "' --json --set split.kind=user_last --set read.threshold=30 --set ingest.keep_log=true");
  ASSERT_EQ(ingested.code, 0) << ingested.err;
  const Json counts = ingested.json();
  EXPECT_EQ(counts.at("rows_read"), client.rows + 1) << "and the click that nothing explains";
  EXPECT_EQ(counts.at("kept"), client.rows + 1);
  EXPECT_EQ(counts.at("impressions"), client.rows + 1);
  EXPECT_EQ(counts.at("clicks"), client.clicks.size() + 1);
  EXPECT_EQ(counts.at("reads"), client.clicks.size()) << "40 seconds are more than 30, 3 are not";
}

}  // namespace
}  // namespace retort
