// Every format, layout and form of time gives the same events.
#include <cmath>
#include <cstdlib>

#include "tests/log/ingest_support.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kSecond = 1'000'000;
constexpr const char* kSplit = "[split]\nkind = \"user_last\"\n[read]\nthreshold = 10\n";

/// Two users, five clicks; b's order in the file is not that of time.
constexpr const char* kCsv =
    "user,item,time,seconds\n"
    "a,x,100,5\n"
    "b,y,300,20\n"
    "b,x,200,\n"
    "a,z,150,10\n"
    "a,y,160,10.5\n";

void expect_the_five(const LogFolder& log, const IngestResult& result) {
  expect_counts(result, 5, 5);
  const Dataset data = log.open();
  EXPECT_EQ(items_of(data, "a"), "x z y");
  EXPECT_EQ(items_of(data, "b"), "x y");
  const Clicks& clicks = data.clicks();
  EXPECT_EQ(clicks.time[0], 100 * kSecond);
  EXPECT_EQ(clicks.time[3], 200 * kSecond);
  EXPECT_EQ(clicks.seconds[2], 10.5f);
  EXPECT_TRUE(std::isnan(clicks.seconds[3]));
  EXPECT_EQ(std::vector<int>(clicks.read.begin(), clicks.read.end()),
            (std::vector<int>{0, 0, 1, 0, 1}));
}

TEST(Sources, Csv) {
  const LogFolder log;
  log.write("log.csv", kCsv);
  expect_the_five(log, log.ingest(csv_events(kSplit)));
}

TEST(Sources, KeysAreOneWhetherNumbersOrTextsAndOrderedAsTexts) {
  for (const char* type : {"BIGINT", "VARCHAR"}) {
    const LogFolder log;
    log.write_parquet("a.parquet",
                      "SELECT unnest([10, 9, 10]) AS user, unnest([3, 20, 20]) AS item, "
                      "unnest([1, 2, 3]) * 1000000 + 1700000000 AS time");
    log.write_parquet("b.parquet", std::string("SELECT CAST(unnest([9, 10]) AS ") + type +
                                       ") AS user, unnest([3, 3]) AS item, 1800000000 AS time");
    log.write_parquet("users.parquet", "SELECT unnest(['10', '100']) AS id, 'x' AS area");
    const std::string keys = "user = \"user\"\nitem = \"item\"\ntime = \"time\"\n";
    const IngestResult result = log.ingest(
        "[[events]]\npath = \"a.parquet\"\n" + keys + "[[events]]\npath = \"b.parquet\"\n" + keys +
        "[users]\npath = \"users.parquet\"\nkey = \"id\"\n" +
        "[split]\nkind = \"user_last\"\n[read]\nthreshold = \"none\"\n");
    expect_counts(result, 5, 5);
    const Dataset data = log.open();
    ASSERT_EQ(data.user_keys().size(), 3) << type;
    EXPECT_EQ(data.user_keys()[0], "10");
    EXPECT_EQ(data.user_keys()[1], "100");
    EXPECT_EQ(data.user_keys()[2], "9");
    EXPECT_EQ(items_of(data, "10"), "3 20 3");
    EXPECT_EQ(items_of(data, "100"), "");
    EXPECT_EQ(items_of(data, "9"), "20 3");
  }
}

TEST(Sources, GzippedCsvWithQuotesAndBlankLines) {
  const LogFolder log;
  log.write("log.csv",
            "user,\"item\",time,seconds\n\"a\",x,100,5\n\nb,y,300,20\nb,x,200,\"\"\n"
            "a,\"z\",150,10\na,y,160,10.5");
  ASSERT_EQ(std::system(("gzip " + (log.path() / "log.csv").string()).c_str()), 0);
  std::string recipe = csv_events(kSplit);
  recipe.replace(recipe.find("log.csv"), 7, "log.csv.gz");
  expect_the_five(log, log.ingest(recipe));
}

TEST(Sources, TabSeparatedWithTypedHeader) {
  const LogFolder log;
  log.write("log.inter",
            "user_id:token\titem_id:token\tts:float\tsec:float\na\tx\t100\t5\nb\ty\t300\t20\n"
            "b\tx\t200\t\na\tz\t150\t10\na\ty\t160\t10.5\n");
  const std::string recipe = std::string(
                                 "[[events]]\npath = \"log.inter\"\nuser = \"user_id\"\nitem = "
                                 "\"item_id\"\ntime = \"ts\"\nseconds = \"sec\"\n") +
                             kSplit;
  expect_the_five(log, log.ingest(recipe));
}

TEST(Sources, CsvWithoutHeaderNamesItsColumnsInOrder) {
  const LogFolder log;
  log.write("log.csv", "a;x;100;5\nb;y;300;20\nb;x;200;\na;z;150;10\na;y;160;10.5\n");
  expect_the_five(log, log.ingest(csv_events(std::string("delimiter = \";\"\nheader = false\n"
                                                         "columns = [\"user\", \"item\", "
                                                         "\"time:BIGINT\", \"seconds\"]\n") +
                                             kSplit)));
}

constexpr const char* kJsonLines =
    "{\"user\": \"a\", \"item\": \"x\", \"time\": 100, \"seconds\": 5}\n"
    "{\"user\": \"b\", \"item\": \"y\", \"time\": 300, \"seconds\": 20}\n\n"
    "{\"user\": \"b\", \"item\": \"x\", \"time\": 200, \"seconds\": null}\n"
    "{\"item\": \"z\", \"user\": \"a\", \"time\": 150, \"seconds\": 10}\n"
    "{\"user\": \"a\", \"item\": \"y\", \"time\": 160, \"seconds\": 10.5}\n";

TEST(Sources, JsonLines) {
  const LogFolder log;
  log.write("log.jsonl", kJsonLines);
  std::string recipe = csv_events(kSplit);
  recipe.replace(recipe.find("log.csv"), 7, "log.jsonl");
  expect_the_five(log, log.ingest(recipe));
}

TEST(Sources, JsonArray) {
  const LogFolder log;
  std::string text = "[";
  for (const char* at = kJsonLines; *at != '\0'; ++at)
    if (*at != '\n') text += *at == '}' && at[2] != '\0' ? std::string("},") : std::string(1, *at);
  log.write("log.json", text + "]");
  std::string recipe = csv_events(kSplit);
  recipe.replace(recipe.find("log.csv"), 7, "log.json");
  expect_the_five(log, log.ingest(recipe));
}

constexpr const char* kRows =
    "SELECT * FROM (VALUES ('a', 'x', 100, 5.0), ('b', 'y', 300, 20.0), ('b', 'x', 200, NULL), "
    "('a', 'z', 150, 10.0), ('a', 'y', 160, 10.5)) t(\"user\", item, time, seconds)";

TEST(Sources, Parquet) {
  const LogFolder log;
  log.write_parquet("log.parquet", kRows);
  std::string recipe = csv_events(kSplit);
  recipe.replace(recipe.find("log.csv"), 7, "log.parquet");
  expect_the_five(log, log.ingest(recipe));
}

TEST(Sources, SqlWithTheFolderPutIn) {
  const LogFolder log;
  log.write_parquet("log.parquet", kRows);
  expect_the_five(
      log, log.ingest(std::string("[[events]]\nsql = \"SELECT * FROM '{from}/log.parquet';\"\nuser "
                                  "= \"user\"\nitem = \"item\"\ntime = \"time\"\nseconds = "
                                  "\"seconds\"\n") +
                      kSplit));
}

TEST(Sources, FolderGlobAndHiveDaysReadTheFilesByName) {
  const LogFolder log;
  log.write("logs/day=2/part.csv", "user,item,seconds\na,z,10\na,y,10.5\n");
  log.write("logs/day=1/part.csv", "user,item,seconds\na,x,5\nb,x,\nb,y,20\n");
  const std::string keys = "user = \"user\"\nitem = \"item\"\nseconds = \"seconds\"\n";
  for (const std::string path : {"logs", "logs/*/*.csv"}) {
    const auto result = log.ingest("[[events]]\npath = \"" + path + "\"\n" + keys + kSplit);
    expect_counts(result, 5, 5);
    EXPECT_EQ(items_of(log.open(), "a"), "x z y") << path;
    EXPECT_FALSE(log.open().has_time());
  }
  log.ingest("[[events]]\npath = \"logs\"\nhive = true\ntime = \"day * 100\"\n" + keys + kSplit);
  const Dataset data = log.open();
  EXPECT_EQ(data.clicks().time[0], 100 * kSecond);
  EXPECT_EQ(data.clicks().time[1], 200 * kSecond);
}

TEST(Sources, ListLayoutUnnestsOneUserARow) {
  const LogFolder log;
  log.write_parquet(
      "history.parquet",
      "SELECT * FROM (VALUES (1::UINTEGER, [7, 8, 9], [TIMESTAMP '2023-05-01', "
      "TIMESTAMP '2023-05-03', TIMESTAMP '2023-05-02'], [1.0::FLOAT, 2, 3], 'p'), "
      "(2, [7], [TIMESTAMP '2023-05-01 00:00:30'], [NULL], 'q'), (3, [], [], [], 'r'),"
      " (4, NULL, NULL, NULL, 's')) t(user_id, article, \"at\", read, phone)");
  const auto result = log.ingest(
      "[[events]]\npath = \"history.parquet\"\nlayout = \"lists\"\nuser = \"user_id\"\nitem = "
      "\"article\"\ntime = \"at\"\nseconds = \"read\"\n[split]\nkind = \"user_last\"\n"
      "[[features]]\nname = \"phone\"\nside = \"user\"\nfrom = \"event\"\ncolumn = \"phone\"\n");
  expect_counts(result, 4, 4);
  const Dataset data = log.open();
  EXPECT_EQ(items_of(data, "1"), "7 9 8");
  EXPECT_EQ(items_of(data, "2"), "7");
  EXPECT_EQ(data.users(), 2);
  EXPECT_EQ(data.clicks().seconds[1], 3);
  EXPECT_EQ(data.clicks().time[0], 1'682'899'200 * kSecond);
  EXPECT_EQ(result.impressions, 0);
}

TEST(Sources, ListsOfUnequalLengthAreOneReject) {
  const LogFolder log;
  log.write_parquet("history.parquet",
                    "SELECT * FROM (VALUES (1, ['x', 'y'], [5.0]), (2, ['x', 'y'], [5.0, 6.0])) "
                    "t(u, i, s)");
  const auto result = log.ingest(
      "[[events]]\npath = \"history.parquet\"\nlayout = \"lists\"\nuser = \"u\"\nitem = \"i\"\n"
      "seconds = \"s\"\n[split]\nkind = \"user_last\"\n[read]\nthreshold = 1\n[ingest]\n"
      "max_rejected = 0.5\n");
  expect_counts(result, 3, 2);
  EXPECT_EQ(result.rejected.at("lists_unequal"), 1);
}

TEST(Sources, ImpressionsAreExplodedAndRecoverable) {
  const LogFolder log;
  log.write_parquet(
      "shown.parquet",
      "SELECT * FROM (VALUES ('r1', 'a', 100, ['x', 'y', 'z'], ['y'], 12.0), ('r2', 'b', 90, ['x', "
      "'z'], ['z', 'w'], 7.0), ('r3', 'a', 200, ['y'], ['y'], NULL), ('r4', 'a', 300, [], [], "
      "1.0)) "
      "t(id, u, \"at\", seen, clicked, s)");
  const auto result = log.ingest(
      "[[events]]\npath = \"shown.parquet\"\nlayout = \"impressions\"\nuser = \"u\"\ntime = "
      "\"at\"\n"
      "request = \"id\"\nin_view = \"seen\"\nclicks = \"clicked\"\nseconds = \"s\"\n[split]\nkind "
      "= "
      "\"time\"\ntest = \"50s\"\nvalid = \"0s\"\n[read]\nthreshold = 10\n[ingest]\nmax_rejected = "
      "0.2\n");
  expect_counts(result, 8, 7);
  EXPECT_EQ(result.rejected.at("impression_empty"), 1);
  EXPECT_EQ(result.impressions, 7);
  const Dataset data = log.open();
  EXPECT_EQ(items_of(data, "a"), "y y");
  EXPECT_EQ(items_of(data, "b"), "z w");
  const Columns& columns = data.columns();
  std::string text;
  const auto request = columns.get<int64_t>("impressions.request");
  const auto position = columns.get<int64_t>("impressions.position");
  const auto click = columns.get<int64_t>("impressions.click");
  const auto seconds = columns.get<float>("impressions.seconds");
  for (size_t row = 0; row < 7; ++row) {
    const int clicked = columns.get<uint8_t>("impressions.clicked")[row];
    text += fmt::format("{}:{}{}{} ", request[row], position[row],
                        data.item_keys()[columns.get<int32_t>("impressions.item")[row]], clicked);
    EXPECT_EQ(click[row] >= 0, clicked == 1);
    EXPECT_EQ(std::isnan(seconds[row]), clicked == 0 || request[row] == 2);
    EXPECT_EQ(columns.get<uint8_t>("impressions.split")[row], request[row] == 2 ? 2 : 0);
  }
  EXPECT_EQ(text, "1:0x0 1:1z1 1:2w1 0:0x0 0:1y1 0:2z0 2:0y1 ");
  EXPECT_EQ(columns.get<int64_t>("clicks.request")[0], 0);
}

TEST(Sources, ClickedColumnSeparatesClicksFromImpressions) {
  const LogFolder log;
  log.write(
      "log.csv",
      "user,item,time,seconds,c,r\na,x,1,3,1,70\na,y,1,,0,70\na,z,2,,false,71\na,x,3,4,true,72"
      "\n");
  const auto result = log.ingest(csv_events(
      "clicked = \"c\"\nrequest = \"r\"\n[split]\nkind = \"user_last\"\n[read]\nthreshold = 1\n"));
  expect_counts(result, 4, 4);
  EXPECT_EQ(result.clicks, 2);
  const Dataset data = log.open();
  EXPECT_EQ(items_of(data, "a"), "x x");
  EXPECT_EQ(data.items(), 3);
  const auto request = data.columns().get<int64_t>("impressions.request");
  EXPECT_EQ(std::vector<int64_t>(request.begin(), request.end()),
            (std::vector<int64_t>{70, 70, 71, 72}));
}

TEST(Sources, EveryFormOfTimeIsTheSameMoment) {
  const int64_t wanted = 1'684'220'400'500'000;  // 2023-05-16 07:00:00.5 UTC
  const std::vector<std::string> forms{"TIMESTAMP '2023-05-16 07:00:00.5'",
                                       "TIMESTAMPTZ '2023-05-16 09:00:00.5+02:00'",
                                       "'2023-05-16T07:00:00.5Z'",
                                       "'2023-05-16 09:00:00.5+02:00'",
                                       "'2023-05-16 07:00:00.5'",
                                       "1684220400.5::DOUBLE",
                                       "1684220400500::BIGINT",
                                       "'1684220400500'",
                                       "1684220400500000::BIGINT",
                                       "1684220400500000000::BIGINT",
                                       "1684220400.5::DECIMAL(18,3)"};
  for (const std::string& form : forms) {
    const LogFolder log;
    log.write_parquet("log.parquet", "SELECT 1 AS u, 2 AS i, " + form + " AS t FROM range(3)");
    log.ingest(
        "[[events]]\npath = \"log.parquet\"\nuser = \"u\"\nitem = \"i\"\ntime = \"t\"\n"
        "[split]\nkind = \"user_last\"\n");
    EXPECT_EQ(log.open().clicks().time[0], wanted) << form;
  }
  const LogFolder log;
  log.write_parquet("log.parquet", "SELECT 1 AS u, 2 AS i, DATE '2023-05-16' AS t FROM range(3)");
  log.ingest(
      "[[events]]\npath = \"log.parquet\"\nuser = \"u\"\nitem = \"i\"\ntime = \"t\"\n[split]\n"
      "kind = \"user_last\"\n");
  EXPECT_EQ(log.open().clicks().time[0], 1'684'195'200 * kSecond);
}

TEST(Sources, EqualTimesKeepTheOrderOfTheFileInALargeLog) {
  const LogFolder log;
  log.write_parquet("log.parquet",
                    "SELECT range % 7 AS u, range AS i, 5 AS t FROM range(400000) ORDER BY range");
  log.ingest(
      "[[events]]\npath = \"log.parquet\"\nuser = \"u\"\nitem = \"i\"\ntime = \"t\"\n[split]\n"
      "kind = \"user_last\"\n");
  const Dataset data = log.open();
  int64_t last = -1;
  for (int64_t at = 0; at < data.clicks().user_begin[1]; ++at) {
    const int64_t item =
        std::stoll(std::string(data.item_keys()[data.clicks().item[static_cast<size_t>(at)]]));
    ASSERT_GT(item, last);
    last = item;
  }
  EXPECT_EQ(items_of(data, "3", Split::kTest), "399997");
}

TEST(Sources, SeveralSourcesWithRolesKeepHistoryOutOfTheSplits) {
  const LogFolder log;
  log.write("old.csv", "user,item,time\na,h1,1\nb,h2,2\na,h3,900\n");
  log.write("new.csv", "user,item,time\na,x,10\nb,x,20\na,y,30\na,z,40\n");
  const std::string keys = "user = \"user\"\nitem = \"item\"\ntime = \"time\"\n";
  log.ingest("[[events]]\npath = \"old.csv\"\nrole = \"history\"\n" + keys +
             "[[events]]\npath = \"new.csv\"\n" + keys +
             "[split]\nkind = \"time\"\ntest = \"5s\"\nvalid = \"15s\"\n");
  const Dataset data = log.open();
  EXPECT_EQ(items_of(data, "a"), "h1 x y z h3");
  EXPECT_EQ(items_of(data, "a", Split::kHistory), "h1 h3");
  EXPECT_EQ(items_of(data, "a", Split::kTrain), "x");
  EXPECT_EQ(items_of(data, "a", Split::kValid), "y");
  EXPECT_EQ(items_of(data, "a", Split::kTest), "z");
  const auto h1 = static_cast<size_t>(data.find_item("h1").value());
  EXPECT_EQ(data.train_clicks()[h1], 0);
}

TEST(Sources, ExpressionsAreUsedAsTheyStand) {
  const LogFolder log;
  log.write("log.csv", "u,kind,i,ms\n7,art,1,5000\n7,vid,1,6000\n7,vid,2,100\n");
  log.ingest(
      "[[events]]\npath = \"log.csv\"\nuser = \"'u' || u\"\nitem = \"kind || '/' || i\"\n"
      "seconds = \"CAST(ms AS DOUBLE) / 1000\"\n[split]\nkind = \"user_last\"\n[read]\n"
      "threshold = 1\n");
  const Dataset data = log.open();
  EXPECT_EQ(items_of(data, "u7"), "art/1 vid/1 vid/2");
  EXPECT_EQ(data.clicks().seconds[1], 6);
}

TEST(Sources, AWrongColumnNamesTheNearest) {
  const LogFolder log;
  log.write("log.csv", kCsv);
  std::string recipe = csv_events(kSplit);
  recipe.replace(recipe.find("\"seconds\""), 9, "\"secnds\"");
  EXPECT_THAT(log.error_of<DataError>(recipe),
              testing::AllOf(HasSubstr("log.csv"), HasSubstr("secnds"), HasSubstr("'seconds'")));
  recipe.replace(recipe.find("\"secnds\""), 8, "\"seconds + nothing\"");
  EXPECT_THAT(log.error_of<DataError>(recipe), HasSubstr("nothing"));
  recipe = csv_events(kSplit);
  recipe.replace(recipe.find("log.csv"), 7, "lob.csv");
  EXPECT_THAT(log.error_of<DataError>(recipe), HasSubstr("did you mean 'log.csv'"));
}

}  // namespace
}  // namespace retort
