// Labels of events: from the log to the dataset and its batches.
#include <cmath>

#include "tests/log/ingest_support.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/dataset/loader.h"

namespace retort {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kSplit = "[split]\nkind = \"user_last\"\n[read]\nthreshold = 10\n";
constexpr const char* kKeys =
    "user = \"user\"\nitem = \"item\"\ntime = \"time\"\nclicked = \"clicked\"\nrequest = \"r\"\n";

std::vector<int> values(std::span<const uint8_t> column) { return {column.begin(), column.end()}; }

TEST(Labels, AreKeptForClicksAsOneZeroOrUnknown) {
  const LogFolder log;
  log.write("log.csv",
            "user,item,time,seconds,shared,liked\n"
            "a,x,100,5,1,true\nb,y,300,20,0,false\nb,x,200,,,\na,z,150,10,0.0,FALSE\n"
            "a,y,160,10.5,1,1\n");
  log.ingest(
      csv_events(std::string("labels = { share = \"shared\", like = \"liked\" }\n") + kSplit));
  const Dataset data = log.open();
  EXPECT_THAT(data.labels(), ElementsAre("like", "share"));
  EXPECT_THAT(values(data.clicks().labels[1]), ElementsAre(1, 0, 1, kUnknownLabel, 0));
  EXPECT_THAT(values(data.clicks().labels[0]), ElementsAre(1, 0, 1, kUnknownLabel, 0));
}

TEST(Labels, AreKeptForImpressionsAndComeWithTheirRows) {
  const LogFolder log;
  log.write_parquet(
      "log.parquet",
      "SELECT * FROM (VALUES ('a', 'x', 100, true, 1, true, false), "
      "('a', 'y', 100, false, 1, false, true), ('a', 'z', 200, true, 2, false, NULL)) "
      "v(\"user\", item, \"time\", clicked, r, shared, dismissed)");
  log.ingest(std::string("[[events]]\npath = \"log.parquet\"\n") + kKeys +
             "labels = { share = \"shared\", dismiss = \"dismissed\" }\n"
             "[split]\nkind = \"time\"\nvalid = \"1970-01-02\"\ntest = \"1970-01-03\"\n"
             "[read]\nthreshold = \"none\"\n");
  const Dataset data = log.open();
  ASSERT_THAT(data.labels(), ElementsAre("dismiss", "share"));
  EXPECT_THAT(values(data.impressions().labels[0]), ElementsAre(0, 1, kUnknownLabel));
  EXPECT_THAT(values(data.impressions().labels[1]), ElementsAre(1, 0, 0));
  EXPECT_THAT(values(data.clicks().labels[0]), ElementsAre(0, kUnknownLabel));

  LoaderOptions options;
  options.training = false;
  options.rows = "impressions";
  Batch batch;
  Loader(data, options).load(0, 0, batch);
  EXPECT_THAT(batch.labels[1], ElementsAre(1, 0, 0));
  EXPECT_EQ(batch.labels[0][1], 1);
  EXPECT_TRUE(std::isnan(batch.labels[0][2]));

  options.rows = "clicks";
  options.negatives = 2;
  Loader(data, options).load(0, 0, batch);
  ASSERT_EQ(batch.labels[1].size(), 6U);
  for (size_t row = 0; row < 6; ++row)
    EXPECT_EQ(std::isnan(batch.labels[1][row]), batch.click[row] == 0) << row;
  EXPECT_EQ(batch.labels[1][0], 1);
}

TEST(Labels, OfASourceWithoutTheColumnAreUnknown) {
  const LogFolder log;
  log.write("old.csv", "user,item,time,seconds\na,x,100,5\nb,x,120,9\n");
  log.write("log.csv", "user,item,time,seconds,shared\na,y,200,5,1\nb,y,210,7,0\n");
  log.ingest(csv_events(std::string("labels = { share = \"shared\" }\n[[events]]\npath = "
                                    "\"old.csv\"\nuser = \"user\"\nitem = \"item\"\ntime = "
                                    "\"time\"\nseconds = \"seconds\"\n") +
                        kSplit));
  EXPECT_THAT(values(log.open().clicks().labels[0]),
              ElementsAre(kUnknownLabel, 1, kUnknownLabel, 0));
}

TEST(Labels, OfListsBelongToTheirElements) {
  const LogFolder log;
  log.write_parquet("log.parquet",
                    "SELECT 'a' AS user, ['x', 'y', 'z'] AS items, [1, 2, 3] AS times, "
                    "[true, false, true] AS shared");
  log.ingest(std::string("[[events]]\npath = \"log.parquet\"\nlayout = \"lists\"\nuser = \"user\"\n"
                         "item = \"items\"\ntime = \"times\"\nlabels = { share = \"shared\" }\n") +
             "[split]\nkind = \"user_last\"\n[read]\nthreshold = \"none\"\n");
  EXPECT_THAT(values(log.open().clicks().labels[0]), ElementsAre(1, 0, 1));
}

TEST(Labels, ValuesThatAreNeitherYesNorNoAreRejects) {
  const LogFolder log;
  log.write("log.csv",
            "user,item,time,seconds,shared\na,x,100,5,2\na,y,101,5,1\na,z,102,5,maybe\n");
  const std::string message = log.error_of<DataError>(
      csv_events(std::string("labels = { share = \"shared\" }\n") + kSplit));
  EXPECT_THAT(message, AllOf(HasSubstr("unparsable_value 2"), HasSubstr("'maybe'")));
}

TEST(Labels, NamesAndColumnsAreChecked) {
  const LogFolder log;
  log.write("log.csv", "user,item,time,seconds,shared\na,x,100,5,1\nb,x,100,5,1\n");
  const auto error = [&](const std::string& labels) {
    return log.error_of<ConfigError>(csv_events("labels = " + labels + "\n" + kSplit));
  };
  EXPECT_THAT(error("{ click = \"shared\" }"),
              AllOf(HasSubstr("labels.click"), HasSubstr("taken")));
  EXPECT_THAT(error("{ Share = \"shared\" }"), HasSubstr("labels.Share"));
  EXPECT_THAT(error("{ share = 3 }"), HasSubstr("labels.share' = 3"));
  EXPECT_THAT(error("\"shared\""), HasSubstr("a table is expected"));
  EXPECT_THAT(
      log.error_of<DataError>(csv_events(std::string("labels = { share = \"shard\" }\n") + kSplit)),
      AllOf(HasSubstr("events.labels.share"), HasSubstr("shard")));
  EXPECT_THAT(log.error_of<ConfigError>(
                  std::string("[[events]]\npath = \"log.csv\"\nlayout = \"impressions\"\nuser = "
                              "\"user\"\nin_view = \"item\"\nclicks = \"item\"\nlabels = { share = "
                              "\"shared\" }\n") +
                  kSplit),
              AllOf(HasSubstr("labels"), HasSubstr("impressions")));
}

}  // namespace
}  // namespace retort
