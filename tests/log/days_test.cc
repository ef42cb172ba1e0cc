// Days: reading some of a log, and adding days to a dataset that keeps its log. The oracle of an
// appended dataset is the ingest of the whole log: the same rows by key, under other numbers.
#include "retort/log/days.h"

#include <set>
#include <tuple>

#include "tests/log/ingest_support.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/rng.h"

namespace retort {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kStart = 1'709'510'400'000'000;  // 2024-03-04

constexpr const char* kRecipe = R"(
[[events]]
path = "shown.parquet"
user = "user"
item = "item"
time = "time"
clicked = "clicked"
seconds = "seconds"
request = "r"
labels = { share = "shared" }
[[streams]]
name = "likes"
path = "likes.parquet"
user = "user"
item = "item"
time = "time"
[items]
path = "items.csv"
key = "item"
[read]
threshold = 30
[split]
kind = "time"
test = "8h"
valid = "8h"
whole_days = true
[[features]]
name = "user_id"
side = "user"
kind = "categorical"
column = "user"
[[features]]
name = "item_id"
side = "item"
kind = "categorical"
column = "item"
[[features]]
name = "topics"
side = "item"
kind = "bag"
column = "topics"
[[features]]
name = "length"
side = "item"
kind = "dense"
column = "length"
transform = "standard"
)";

/// A log of five days; later days bring new users and items.
void write_log(const LogFolder& log) {
  std::string shown, likes, items = "item,topics,length\n";
  Rng rng(7, "days");
  uint64_t draw = 0;
  for (int day = 0; day < 5; ++day)
    for (int row = 0; row < 60; ++row) {
      const int user = static_cast<int>(rng.below(8 + 4 * day, draw++));
      const int item = static_cast<int>(rng.below(10 + 5 * day, draw++));
      const int64_t time = kStart + day * kDay + row * kDay / 60;
      const bool clicked = rng.below(2, draw++) == 1;
      const uint64_t seconds = rng.below(90, draw++), liked = rng.below(2, draw++);
      shown += fmt::format("{}('u{}', 'i{}', {}, {}, {}, {}, {})", shown.empty() ? "" : ", ", user,
                           item, time, clicked, seconds, day * 100 + row / 3, liked);
      if (row % 4 == 0)
        likes += fmt::format("{}('u{}', 'i{}', {})", likes.empty() ? "" : ", ", user, item, time);
    }
  for (int item = 0; item < 30; ++item)
    items += fmt::format("i{},t{} t{},{}\n", item, item % 7, 10 + item, 100 + item * item);
  log.write("items.csv", items);
  log.write_parquet("shown.parquet",
                    "SELECT * FROM (VALUES " + shown +
                        ") v(\"user\", item, \"time\", clicked, seconds, r, shared)");
  log.write_parquet("likes.parquet",
                    "SELECT * FROM (VALUES " + likes + ") v(\"user\", item, \"time\")");
}

IngestResult ingest_days(const LogFolder& log, const char* days, const fs::path& append,
                         const fs::path& out, const std::string& toml = kRecipe) {
  IngestOptions options{.from = log.path(), .out = out};
  options.days = parse_days(days, "--days");
  options.keep_log = append.empty();
  options.append = append;
  log.write("recipe.toml", toml);
  return ingest(load_recipe(log.path() / "recipe.toml", "", {}), options);
}

using Row = std::tuple<std::string, std::string, int64_t, float, int, int, int>;

/// What a click is, whatever its users and items are numbered.
std::multiset<Row> clicks_by_key(const Dataset& data) {
  std::multiset<Row> rows;
  const Clicks& clicks = data.clicks();
  for (int64_t i = 0; i < clicks.size(); ++i) {
    const auto at = static_cast<size_t>(i);
    rows.emplace(data.user_keys()[clicks.user[at]], data.item_keys()[clicks.item[at]],
                 clicks.time[at], clicks.seconds[at], clicks.read[at], clicks.split[at],
                 clicks.labels[0][at]);
  }
  return rows;
}

std::multiset<Row> impressions_by_key(const Dataset& data) {
  std::multiset<Row> rows;
  const Impressions& shown = data.impressions();
  for (int64_t i = 0; i < shown.size(); ++i) {
    const auto at = static_cast<size_t>(i);
    rows.emplace(data.user_keys()[shown.user[at]], data.item_keys()[shown.item[at]], shown.time[at],
                 static_cast<float>(shown.request[at]), shown.clicked[at], shown.split[at],
                 shown.labels[0][at]);
  }
  return rows;
}

std::multiset<Row> likes_by_key(const Dataset& data) {
  std::multiset<Row> rows;
  const Stream& likes = data.stream("likes");
  for (int64_t user = 0; user < data.users(); ++user)
    for (int64_t i = likes.user_begin[user]; i < likes.user_begin[user + 1]; ++i)
      rows.emplace(data.user_keys()[user], data.item_keys()[likes.item[i]], likes.time[i], 0.0F, 0,
                   0, 0);
  return rows;
}

/// The texts of each item's topics.
std::multiset<std::string> topics_by_key(const Dataset& data) {
  std::multiset<std::string> all;
  const auto ids = data.columns().get<int32_t>("item.topics.ids");
  const auto offsets = data.columns().get<int64_t>("item.topics.offsets");
  for (int64_t item = 0; item < data.items(); ++item)
    for (int64_t i = offsets[item]; i < offsets[item + 1]; ++i)
      all.insert(fmt::format("{} {}", data.item_keys()[item],
                             data.vocabulary("topics").text(ids[static_cast<size_t>(i)])));
  return all;
}

void expect_prefix(const Strings& before, const Strings& after) {
  ASSERT_LE(before.size(), after.size());
  for (int64_t i = 0; i < before.size(); ++i) EXPECT_EQ(before[i], after[i]) << i;
}

TEST(Days, AreReadAndWrittenAsText) {
  EXPECT_EQ(parse_days("2024-03-05", "x").from, kStart + kDay);
  EXPECT_TRUE(parse_days("2024-03-05", "x").single());
  EXPECT_EQ(parse_days("..2024-03-05", "x").until, kStart + 2 * kDay);
  EXPECT_EQ(format_days(parse_days("2024-03-05..2024-03-07", "x")), "2024-03-05..2024-03-07");
  EXPECT_EQ(format_days(parse_days("2024-03-05..", "x")), "2024-03-05..");
  for (const char* wrong : {"yesterday", "..", "2024-03-07..2024-03-05", "2024-03-05 07:00:00"})
    EXPECT_THROW(parse_days(wrong, "x"), ConfigError) << wrong;
}

TEST(Days, AppendedOneByOneAreTheWholeLogUnderKeptNumbers) {
  const LogFolder log;
  write_log(log);
  ingest_days(log, "..2024-03-06", {}, log.path() / "d3");
  ingest_days(log, "2024-03-07", log.path() / "d3", log.path() / "d4");
  const IngestResult last = ingest_days(log, "2024-03-08", log.path() / "d4", log.path() / "d5");
  EXPECT_EQ(last.rows_read, 60);
  EXPECT_EQ(last.kept, 60);
  log.ingest(kRecipe);
  const Dataset whole = log.open(), before(log.path() / "d3", true), grown(log.path() / "d5", true);
  ASSERT_GT(grown.users(), before.users());
  EXPECT_EQ(clicks_by_key(grown), clicks_by_key(whole));
  EXPECT_EQ(impressions_by_key(grown), impressions_by_key(whole));
  EXPECT_EQ(likes_by_key(grown), likes_by_key(whole));
  expect_prefix(before.user_keys(), grown.user_keys());
  expect_prefix(before.item_keys(), grown.item_keys());
  for (const char* name : {"user_id", "item_id", "topics"})
    EXPECT_EQ(grown.vocabulary(name).rows(), whole.vocabulary(name).rows()) << name;
  for (int32_t row = 0; row < before.vocabulary("topics").rows(); ++row)
    EXPECT_EQ(before.vocabulary("topics").text(row), grown.vocabulary("topics").text(row));
  EXPECT_EQ(topics_by_key(grown), topics_by_key(whole));
  EXPECT_EQ(grown.schema().find("length")->transform.mean,
            before.schema().find("length")->transform.mean);
  EXPECT_EQ(grown.manifest().at("lineage").size(), 2U);
  EXPECT_EQ(grown.manifest().at("lineage")[1].at("days"), "2024-03-04..2024-03-07");
}

TEST(Days, MayTakeThePlaceOfTheDataset) {
  const LogFolder log;
  write_log(log);
  ingest_days(log, "..2024-03-06", {}, log.path() / "d");
  ingest_days(log, "2024-03-07", log.path() / "d", {});
  const Dataset grown(log.path() / "d", true);
  EXPECT_EQ(grown.manifest().at("log").at("days"), "2024-03-04..2024-03-07");
  EXPECT_THAT(log.leftovers(), ElementsAre("d"));
}

TEST(Days, KeepTheMedianOfTheFirstIngest) {
  const LogFolder log;
  write_log(log);
  std::string toml = kRecipe;
  toml.replace(toml.find("threshold = 30"), 14, "threshold = \"median\"");
  const IngestResult first = ingest_days(log, "..2024-03-06", {}, log.path() / "d", toml);
  const IngestResult then = ingest_days(log, "2024-03-07", log.path() / "d", {}, toml);
  EXPECT_EQ(first.read_threshold, then.read_threshold);
}

TEST(Days, WhatADayDoesNotRepeatOfTheItemTableStays) {
  const LogFolder log;
  write_log(log);
  ingest_days(log, "..2024-03-06", {}, log.path() / "d");
  const Dataset before(log.path() / "d", true);
  log.write("items.csv", "item,topics,length\ni1,new,7\n");
  ingest_days(log, "2024-03-07", log.path() / "d", log.path() / "e");
  const Dataset after(log.path() / "e", true);
  const auto length_of = [](const Dataset& data, const char* item) {
    return data.columns().get<float>(
        "item.length.values")[static_cast<size_t>(*data.find_item(item))];
  };
  EXPECT_EQ(length_of(after, "i1"), 7);
  EXPECT_EQ(length_of(after, "i2"), length_of(before, "i2"));
}

TEST(Days, ThatCannotBeAddedAreNamed) {
  const LogFolder log;
  write_log(log);
  const fs::path d = log.path() / "d";
  ingest_days(log, "2024-03-05..2024-03-06", {}, d);
  const auto error_of = [&](const char* days, const std::string& toml = kRecipe) -> std::string {
    try {
      ingest_days(log, days, d, log.path() / "e", toml);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(error_of("2024-03-06"), AllOf(HasSubstr("2024-03-06 is there already (")));
  EXPECT_THAT(error_of("2024-03-04"), HasSubstr("before the end of the log (2024-03-06)"));
  EXPECT_THAT(error_of("2024-03-08"),
              AllOf(HasSubstr("2024-03-07 has no data"), HasSubstr("--allow-gap")));
  EXPECT_THAT(error_of("2024-04-01"), HasSubstr("no event of 2024-04-01"));
  std::string other = kRecipe;
  other.replace(other.find("kind = \"bag\""), 12, "kind = \"categorical\"");
  EXPECT_THAT(error_of("2024-03-07", other), HasSubstr("features are others"));
  EXPECT_FALSE(fs::exists(log.path() / "e"));
  log.ingest(kRecipe);  // keeps no log
  EXPECT_THROW(ingest_days(log, "2024-03-09", log.out(), log.path() / "e"), DataError);
}

TEST(Days, FillThePlaceholderOfAPath) {
  const LogFolder log;
  write_log(log);
  fs::create_directories(log.path() / "day=2024-03-05");
  fs::copy(log.path() / "shown.parquet", log.path() / "day=2024-03-05" / "a.parquet");
  std::string toml = kRecipe;
  toml.replace(toml.find("shown.parquet"), 13, "day={day}/a.parquet");
  EXPECT_EQ(ingest_days(log, "2024-03-05", {}, log.path() / "d", toml).kept, 60);
  EXPECT_THROW(ingest_days(log, "2024-03-06", {}, log.path() / "e", toml), Error);
}

}  // namespace
}  // namespace retort
