// Splits: what each takes, ties, and that nothing fitted on the log knows the future.
#include <algorithm>
#include <cmath>

#include "tests/log/ingest_support.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/rng.h"

namespace retort {
namespace {

using ::testing::HasSubstr;

std::string events(const std::string& path, const std::string& more) {
  return "[[events]]\npath = \"" + path +
         "\"\nuser = \"user\"\nitem = \"item\"\ntime = \"time\"\n" + more;
}

TEST(Split, UserLastTakesTheLastInFileOrderAmongEqualTimes) {
  const LogFolder log;
  log.write("log.csv", "user,item,time\na,p,5\na,q,9\na,r,9\na,s,3\na,t,9\nb,p,1\nb,q,1\nc,p,4\n");
  log.ingest(events("log.csv", "[split]\nkind = \"user_last\"\n"));
  const Dataset data = log.open();
  EXPECT_EQ(items_of(data, "a"), "s p q r t");
  EXPECT_EQ(items_of(data, "a", Split::kTest), "t");
  EXPECT_EQ(items_of(data, "a", Split::kValid), "r");
  EXPECT_EQ(items_of(data, "b", Split::kTest), "q");
  EXPECT_EQ(items_of(data, "b", Split::kTrain), "p");
  EXPECT_EQ(items_of(data, "c", Split::kTest), "p");
  EXPECT_THAT(data.manifest()["split"]["cannot_exclude"].get<std::string>(),
              HasSubstr("LEAKS ACROSS USERS"));
}

TEST(Split, UserShareTakesTheRoundedLastShare) {
  const LogFolder log;
  std::string text = "user,item,time\n";
  for (int i = 0; i < 20; ++i) text += fmt::format("a,i{:02},{}\n", i, i);
  log.write("log.csv", text + "b,x,1\nb,y,2\n");
  log.ingest(events("log.csv", "[split]\nkind = \"user_share\"\ntest = 0.1\nvalid = 0.2\n"));
  const Dataset data = log.open();
  EXPECT_EQ(items_of(data, "a", Split::kTest), "i18 i19");
  EXPECT_EQ(items_of(data, "a", Split::kValid), "i14 i15 i16 i17");
  EXPECT_EQ(items_of(data, "b", Split::kTrain), "x y");
}

TEST(Split, TimeTakesDurationsBeforeTheEndOrMoments) {
  const LogFolder log;
  log.write("log.csv",
            "user,item,time\na,p,2024-01-01 00:00:00\na,q,2024-01-02 00:00:00\na,r,2024-01-02 "
            "23:59:59\na,s,2024-01-03 00:00:00\na,t,2024-01-04 00:00:00\n");
  log.ingest(
      events("log.csv", "[split]\nkind = \"time\"\ntest = \"2024-01-03\"\nvalid = \"1d\"\n"));
  EXPECT_EQ(items_of(log.open(), "a", Split::kTest), "s t");
  EXPECT_EQ(items_of(log.open(), "a", Split::kValid), "q r");
  log.ingest(events("log.csv",
                    "[split]\nkind = \"time\"\ntest = \"1d\"\nvalid = \"2024-01-02 00:00:00\"\n"));
  EXPECT_EQ(items_of(log.open(), "a", Split::kTest), "t");
  EXPECT_EQ(items_of(log.open(), "a", Split::kTrain), "p");
  EXPECT_EQ(log.open().manifest()["split"]["kind"], "time");
}

TEST(Split, ColumnAndSource) {
  const LogFolder log;
  log.write("log.csv", "user,item,time,part\na,p,1,train\na,q,2,Valid\na,r,3,test\na,s,4,later\n");
  const auto result = log.ingest(
      "[[events]]\npath = \"log.csv\"\nuser = \"user\"\nitem = \"item\"\ntime = \"time\"\nsplit = "
      "\"part\"\n[split]\nkind = \"column\"\n[ingest]\nmax_rejected = 0.5\n");
  expect_counts(result, 4, 3);
  EXPECT_EQ(result.rejected.at("split_unknown"), 1);
  EXPECT_EQ(items_of(log.open(), "a", Split::kValid), "q");
  log.write("1.csv", "user,item,time\na,p,1\na,q,9\n");
  log.write("2.csv", "user,item,time\na,r,5\n");
  log.ingest(events("1.csv", "role = \"train\"\n") + events("2.csv", "role = \"test\"\n") +
             "[split]\nkind = \"source\"\n");
  EXPECT_EQ(items_of(log.open(), "a", Split::kTrain), "p q");
  EXPECT_EQ(items_of(log.open(), "a", Split::kTest), "r");
  EXPECT_THAT(log.error_of<ConfigError>(events("1.csv", "[split]\nkind = \"source\"\n")),
              HasSubstr("role"));
}

TEST(Split, WithoutTimeThereAreNoMomentsAndNoSequences) {
  const LogFolder log;
  log.write("log.csv", "user,item\na,z\na,y\nb,x\na,x\n");
  const std::string keys = "[[events]]\npath = \"log.csv\"\nuser = \"user\"\nitem = \"item\"\n";
  EXPECT_THAT(log.error_of<ConfigError>(keys), HasSubstr("needs a time"));
  const std::string item = "[[features]]\nname = \"item_id\"\nside = \"item\"\ncolumn = \"item\"\n";
  EXPECT_THAT(log.error_of<ConfigError>(
                  keys + "[split]\nkind = \"user_last\"\n" + item +
                  "[[features]]\nname = \"history\"\nkind = \"sequence\"\nof = \"item_id\"\nlast = "
                  "3\n"),
              HasSubstr("has no time"));
  log.ingest(keys + "[split]\nkind = \"user_last\"\n" + item);
  EXPECT_EQ(items_of(log.open(), "a"), "z y x");
  EXPECT_FALSE(log.open().has_time());
}

/// A random log of 600 clicks with known seconds; the future (time >= 700) is another world: other
/// categories, long reads, high prices.
std::string random_log(uint64_t seed, bool change_future) {
  std::string text = "user,item,time,seconds,kind,price\n";
  const Rng rng(seed, "log");
  for (uint64_t i = 0; i < 600; ++i) {
    const auto time = rng.below(1000, 6 * i);
    const bool future = time >= 700 && change_future;
    text +=
        fmt::format("u{},i{},{},{},{}{},{}\n", rng.below(20, 6 * i + 1), rng.below(30, 6 * i + 2),
                    time, rng.below(100, 6 * i + 3) + (future ? 500 : 0), future ? "new" : "k",
                    rng.below(5, 6 * i + 4),
                    static_cast<int>(rng.below(1000, 6 * i + 5)) + (future ? 9000 : 0));
  }
  return text;
}

TEST(Split, WhatIsFittedDoesNotChangeWithTheFuture) {
  const std::string recipe = R"(
[[events]]
path = "log.csv"
user = "user"
item = "item"
time = "time"
seconds = "seconds"
[split]
kind = "time"
test = "1970-01-01 00:14:00"
valid = "1970-01-01 00:11:40"
[[features]]
name = "item_id"
side = "item"
column = "item"
[[features]]
name = "kind"
from = "event"
column = "kind"
[[features]]
name = "price"
kind = "dense"
from = "event"
column = "price"
transform = "standard"
[[features]]
name = "price_bucket"
kind = "dense"
from = "event"
column = "price"
transform = "bucket"
buckets = 5
[[features]]
name = "clicks"
side = "item"
kind = "dense"
as_of = "clicks"
window = "1m"
transform = "bucket"
buckets = 4
[[features]]
name = "mean"
side = "item"
kind = "dense"
as_of = "mean_log_seconds"
transform = "standard"
)";
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    Json schemas[2];
    double thresholds[2];
    std::string kinds[2];
    for (const bool changed : {false, true}) {
      const LogFolder log;
      log.write("log.csv", random_log(seed, changed));
      log.ingest(recipe);
      const Dataset data = log.open();
      schemas[changed ? 1 : 0] = data.manifest()["schema"];
      thresholds[changed ? 1 : 0] = data.read_threshold();
      const Vocabulary& kind = data.vocabulary("kind");
      for (int32_t row = 0; row < kind.rows(); ++row)
        kinds[changed ? 1 : 0] += std::string(kind.text(row)) + ' ';
      for (size_t row = 0; row < data.clicks().item.size(); ++row) {
        const int64_t second = data.clicks().time[row] / 1'000'000;
        EXPECT_EQ(data.clicks().split[row], second >= 840 ? 2 : second >= 700 ? 1 : 0);
      }
    }
    EXPECT_EQ(schemas[0], schemas[1]);
    EXPECT_EQ(thresholds[0], thresholds[1]);
    EXPECT_EQ(kinds[0], kinds[1]);
  }
}

TEST(Split, TheMedianIsThatOfTrainingClicks) {
  const LogFolder log;
  log.write("log.csv",
            "user,item,time,seconds\na,x,1,10\na,x,2,20\na,x,3,\na,x,4,40\na,x,5,50\na,x,6,900\n"
            "a,x,7,900\n");
  const auto result = log.ingest(csv_events("[split]\nkind = \"user_last\"\n"));
  EXPECT_EQ(result.read_threshold, 30.0);  // of 10, 20, 40, 50
  EXPECT_EQ(result.reads, 4);
  log.ingest(csv_events("[split]\nkind = \"user_last\"\n[read]\nthreshold = \"none\"\n"));
  const Dataset data = log.open();
  const auto read = data.clicks().read;
  EXPECT_TRUE(std::all_of(read.begin(), read.end(), [](uint8_t r) { return r == 1; }));
}

TEST(Split, WrongValuesAreNamed) {
  const LogFolder log;
  log.write("log.csv", "user,item,time\na,x,1\n");
  const auto error = [&](const std::string& more) {
    return log.error_of<ConfigError>(events("log.csv", more));
  };
  EXPECT_THAT(error("[split]\nkind = \"tim\"\n"), HasSubstr("'tim' is none of"));
  EXPECT_THAT(error("[split]\nkind = \"user_share\"\ntest = 0.9\nvalid = 0.1\n"), HasSubstr("0.9"));
  EXPECT_THAT(error("[split]\ntests = \"2d\"\n"), HasSubstr("did you mean 'test'"));
  EXPECT_THAT(error("[split]\ntest = \"2 days\"\n"), HasSubstr("split.test"));
  EXPECT_THAT(error("[read]\nthreshold = \"median\"\n"), HasSubstr("seconds"));
  EXPECT_THAT(error("[reed]\nthreshold = 1\n"), HasSubstr("did you mean 'read'"));
  EXPECT_THAT(error("layout = \"list\"\n"), HasSubstr("'list' is none of"));
  EXPECT_THAT(error("[negatives]\nsampler = \"trailing\"\n"), HasSubstr("window"));
  EXPECT_THAT(log.leftovers(), testing::IsEmpty());
}

}  // namespace
}  // namespace retort
