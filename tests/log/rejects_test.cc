// Every kind of bad row or file: a counted reject, or an error that leaves nothing behind.
#include <fstream>
#include <thread>

#include "tests/log/ingest_support.h"
#include "tests/support/soak.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "retort/common/error.h"

namespace retort {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kLoose =
    "[split]\nkind = \"user_last\"\n[read]\nthreshold = 1\n[ingest]\nmax_rejected = 0.9\n";
constexpr const char* kStrict = "[split]\nkind = \"user_last\"\n[read]\nthreshold = 1\n";
constexpr const char* kGood = "a,x,100,5\na,y,110,6\nb,x,120,7\nb,z,130,8\n";

struct BadLine {
  const char* line;
  const char* reason;
  const char* value;
};

constexpr BadLine kBadLines[] = {
    {",x,100,5", "user_missing", ""},
    {"a,,100,5", "item_missing", ""},
    {"a,x,,5", "time_missing", ""},
    {"a,x,soon,5", "time_unparsable", "soon"},
    {"a,x,-100,5", "time_out_of_range", "-100"},
    {"a,x,2300-01-01,5", "time_out_of_range", "2300-01-01"},
    {"a,x,100,long", "seconds_unparsable", "long"},
    {"a,x,100,-1", "seconds_negative", "-1"},
    {"a,x,100,nan", "seconds_not_finite", "nan"},
    {"a,x,100,inf", "seconds_not_finite", "inf"},
    {"a,x,100,1e39", "seconds_not_finite", "1e39"},
    {"a,x,100", "wrong_column_count", "a,x,100"},
    {"a,x,100,5,6", "wrong_column_count", "a,x,100,5,6"},
};

TEST(Rejects, EachKindOfBadLineIsCountedWithItsReason) {
  for (const BadLine& bad : kBadLines) {
    const LogFolder log;
    log.write("log.csv",
              std::string("user,item,time,seconds\na,x,90,5\n") + bad.line + '\n' + kGood);
    const auto result = log.ingest(csv_events(kLoose));
    expect_counts(result, 6, 5);
    ASSERT_EQ(result.rejected.size(), 1u) << bad.line;
    EXPECT_EQ(result.rejected.begin()->first, bad.reason) << bad.line;
    DuckDb db;
    const std::string from = " FROM " + sql_string((log.out() / "rejects.parquet").string());
    EXPECT_EQ(db.query_text("SELECT reason" + from), bad.reason);
    EXPECT_EQ(db.query_text("SELECT coalesce(value, '')" + from), bad.value) << bad.line;
    EXPECT_EQ(db.query_integer("SELECT row" + from), 2) << bad.line;
    EXPECT_EQ(db.query_text("SELECT file" + from), (log.path() / "log.csv").string());
    log.open();
  }
}

TEST(Rejects, RowsAreNumberedAsInTheirFileAcrossBadLines) {
  const LogFolder log;
  log.write("logs/1.csv", "user,item\na,x\nbad\na,y\n,z\nbad\nb,x\n,w\n");
  log.write("logs/2.csv", "user,item\nb,x\n,q\n");
  const auto result = log.ingest(
      "[[events]]\npath = \"logs\"\nuser = \"user\"\nitem = \"item\"\n[split]\nkind = "
      "\"user_last\"\n[ingest]\nmax_rejected = 0.9\n");
  expect_counts(result, 9, 4);
  EXPECT_EQ(result.rejected.at("user_missing"), 3);
  EXPECT_EQ(result.rejected.at("wrong_column_count"), 2);
  DuckDb db;
  std::string rows;
  db.query("SELECT file, row FROM " + sql_string((log.out() / "rejects.parquet").string()),
           [&](const ResultChunk& chunk) {
             for (int64_t row = 0; row < chunk.rows(); ++row)
               rows += fmt::format("{}:{} ", fs::path(chunk.text(0, row)).stem().string(),
                                   chunk.integer(1, row));
           });
  EXPECT_EQ(rows, "1:2 1:4 1:5 1:7 2:2 ");
}

TEST(Rejects, ParquetRowsAreNumberedByFile) {
  const LogFolder log;
  log.write_parquet("logs/1.parquet", "SELECT 'a' AS u, 'x' AS i, 1.0 AS s FROM range(5)");
  log.write_parquet("logs/2.parquet",
                    "SELECT CASE WHEN range = 2 THEN NULL ELSE 'b' END AS u, 'x' AS i, CASE WHEN "
                    "range = 3 THEN 'nan'::DOUBLE ELSE 2 END AS s FROM range(5)");
  const auto result = log.ingest(
      std::string("[[events]]\npath = \"logs\"\nuser = \"u\"\nitem = \"i\"\nseconds = \"s\"\n") +
      kLoose);
  expect_counts(result, 10, 8);
  DuckDb db;
  const std::string from = " FROM " + sql_string((log.out() / "rejects.parquet").string());
  EXPECT_EQ(db.query_integer("SELECT row" + from + " WHERE reason = 'user_missing'"), 3);
  EXPECT_EQ(db.query_integer("SELECT row" + from + " WHERE reason = 'seconds_not_finite'"), 4);
}

TEST(Rejects, GarbageLinesOfJson) {
  const LogFolder log;
  log.write("log.jsonl",
            "{\"user\": 1, \"item\": \"x\", \"clicked\": true}\nnot json\n[1, 2]\n"
            "{\"user\": 1, \"item\": \"y\", \"clicked\": 1}\n{\"user\": 1, \"item\": \"z\", "
            "\"clicked\": \"maybe\"}\n{\"item\": \"z\", \"clicked\": 0}\n{\"user\": 2\n");
  const auto result =
      log.ingest(std::string("[[events]]\npath = \"log.jsonl\"\nuser = \"user\"\n"
                             "item = \"item\"\nclicked = \"clicked\"\n[split]\nkind "
                             "= \"user_last\"\n[ingest]\nmax_rejected = 0.8\n") +
                 "");
  expect_counts(result, 7, 2);
  EXPECT_EQ(result.rejected.at("not_json"), 3);
  EXPECT_EQ(result.rejected.at("clicked_unparsable"), 1);
  EXPECT_EQ(result.rejected.at("user_missing"), 1);
}

TEST(Rejects, TypedColumnsOfCsvRejectWhatDoesNotParse) {
  const LogFolder log;
  log.write("log.inter", "u:token\ti:token\tt:float\na\tx\t1\na\ty\tlater\na\tx\t2\n");
  const auto result =
      log.ingest(std::string("[[events]]\npath = \"log.inter\"\nuser = \"u\"\nitem = "
                             "\"i\"\ntime = \"t\"\n[split]\nkind = \"user_last\"\n"
                             "[ingest]\nmax_rejected = 0.5\n"));
  expect_counts(result, 3, 2);
  EXPECT_EQ(result.rejected.at("unparsable_value"), 1);
}

TEST(Rejects, AboveTheShareNothingIsWritten) {
  const LogFolder log;
  log.write("log.csv", std::string("user,item,time,seconds\na,x,90,-5\n") + kGood);
  EXPECT_THAT(log.error_of<DataError>(csv_events(kStrict)),
              AllOf(HasSubstr("1 of 5 rows are rejected (seconds_negative 1)"),
                    HasSubstr("max_rejected = 0.01"), HasSubstr("row 1: seconds_negative '-5'")));
  EXPECT_THAT(log.leftovers(), testing::IsEmpty());
}

TEST(Rejects, TheDefaultShareIsOnePercent) {
  const LogFolder log;
  std::string text = "user,item,time,seconds\n";
  for (int i = 0; i < 99; ++i) text += fmt::format("u{},x,{},5\n", i % 9, i);
  log.write("log.csv", text + ",x,1,5\n");
  expect_counts(log.ingest(csv_events(kStrict)), 100, 99);
  log.write("log.csv", text + ",x,1,5\n,x,1,5\n");
  EXPECT_THAT(log.error_of<DataError>(csv_events(kStrict)), HasSubstr("2 of 101"));
}

TEST(Rejects, WithoutRejectsThereIsNoFileOfThem) {
  const LogFolder log;
  log.write("log.csv", std::string("user,item,time,seconds\n") + kGood);
  expect_counts(log.ingest(csv_events(kStrict)), 4, 4);
  EXPECT_FALSE(fs::exists(log.out() / "rejects.parquet"));
}

TEST(Rejects, EmptyAndTruncatedFilesAreErrorsThatNameTheFile) {
  const LogFolder log;
  log.write("log.csv", "");
  EXPECT_THAT(log.error_of<DataError>(csv_events(kStrict)),
              AllOf(HasSubstr("log.csv"), HasSubstr("empty")));
  log.write("log.csv", "user,item,time,seconds\n");
  EXPECT_THAT(log.error_of<DataError>(csv_events(kStrict)),
              AllOf(HasSubstr("log.csv"), HasSubstr("not one row")));
  log.write_parquet("log.parquet", "SELECT range % 9 AS u, range AS i FROM range(10000)");
  const std::string recipe =
      std::string("[[events]]\npath = \"log.parquet\"\nuser = \"u\"\nitem = \"i\"\n") +
      "[split]\nkind = \"user_last\"\n";
  log.ingest(recipe);
  const auto size = fs::file_size(log.path() / "log.parquet");
  for (const auto kept : {size - 1, size / 2, uintmax_t{3}}) {
    fs::resize_file(log.path() / "log.parquet", kept);
    EXPECT_THAT(log.error_of<DataError>(recipe),
                AllOf(HasSubstr("log.parquet"), HasSubstr("truncated")));
    EXPECT_THAT(log.leftovers(), testing::IsEmpty());
  }
}

TEST(Rejects, ASourceOfHistoryAloneMayBeEmpty) {
  const LogFolder log;
  log.write("log.csv", "user,item,time,seconds\n");
  log.write("more.csv", std::string("user,item,time,seconds\n") + kGood);
  const std::string more =
      "[[events]]\npath = \"more.csv\"\nuser = \"user\"\nitem = \"item\"\ntime = \"time\"\n"
      "seconds = \"seconds\"\n";
  expect_counts(log.ingest(csv_events("role = \"history\"\n") + more + kStrict), 4, 4);
}

TEST(Rejects, ADamagedMiddleOfParquetIsAnErrorOrOtherValuesButNoCrash) {
  const LogFolder log;
  log.write_parquet("log.parquet", "SELECT range % 9 AS u, range * 7 AS i FROM range(10000)");
  std::fstream file(log.path() / "log.parquet", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<int64_t>(fs::file_size(log.path() / "log.parquet")) - 60);
  file << std::string(40, '\xff');
  file.close();
  EXPECT_THAT(
      log.error_of<DataError>("[[events]]\npath = \"log.parquet\"\nuser = \"u\"\nitem = \"i\"\n"
                              "[split]\nkind = \"user_last\"\n"),
      HasSubstr("log.parquet"));
  EXPECT_THAT(log.leftovers(), testing::IsEmpty());
}

TEST(Rejects, TruncatedGzipIsAnError) {
  const LogFolder log;
  std::string text = "user,item,time,seconds\n";
  for (int i = 0; i < 5000; ++i) text += fmt::format("u{},i{},{},5\n", i * 7919 % 97, i % 13, i);
  log.write("log.csv", text);
  ASSERT_EQ(std::system(("gzip " + (log.path() / "log.csv").string()).c_str()), 0);
  fs::resize_file(log.path() / "log.csv.gz", fs::file_size(log.path() / "log.csv.gz") / 2);
  std::string recipe = csv_events(kStrict);
  recipe.replace(recipe.find("log.csv"), 7, "log.csv.gz");
  EXPECT_THAT(log.error_of<DataError>(recipe), HasSubstr("log.csv.gz"));
}

TEST(Rejects, FeatureTablesRejectRowsWithoutOrWithASecondKey) {
  const LogFolder log;
  log.write("log.csv", std::string("user,item,time,seconds\n") + kGood);
  log.write("items.csv", "id,price\nx,1\n,2\ny,cheap\nx,3\nq,\n");
  const std::string recipe = csv_events(std::string(
      "[items]\npath = \"items.csv\"\nkey = \"id\"\n[[features]]\nname = \"price\"\nside "
      "= \"item\"\nkind = \"dense\"\ncolumn = \"price\"\n[split]\nkind = \"user_last\"\n"
      "[read]\nthreshold = 1\n"));
  EXPECT_THAT(log.error_of<DataError>(recipe + "[ingest]\nmax_rejected = 0.5\n"),
              HasSubstr("3 of 5"));
  const auto result = log.ingest(recipe + "[ingest]\nmax_rejected = 0.6\n");
  expect_counts(result, 4, 4);
  EXPECT_EQ(result.table_rejected.at("items").at("item_missing"), 1);
  EXPECT_EQ(result.table_rejected.at("items").at("unparsable_value"), 1);
  EXPECT_EQ(result.table_rejected.at("items").at("duplicate_key"), 1);
  const Dataset data = log.open();
  EXPECT_EQ(data.items(), 4);  // q was never clicked and is a candidate all the same
  const auto price = data.columns().get<float>("item.price.values");
  EXPECT_EQ(price[static_cast<size_t>(data.find_item("x").value())], 1);
}

TEST(Rejects, AnExistingDatasetIsNeverTouched) {
  const LogFolder log;
  log.write("log.csv", std::string("user,item,time,seconds\n") + kGood);
  log.ingest(csv_events(kStrict));
  const std::string before = read_file(log.out() / "manifest.json");
  EXPECT_THROW(ingest(load_recipe(log.path() / "recipe.toml", "", {}),
                      {.from = log.path(), .out = log.out()}),
               IoError);
  EXPECT_EQ(read_file(log.out() / "manifest.json"), before);
}

TEST(Rejects, KilledAtAnyMomentLeavesAWholeDatasetOrNone) {
  const LogFolder log;
  log.write_parquet("log.parquet",
                    "SELECT range % 99 AS u, range % 777 AS i, range AS t FROM range(50000)");
  const std::string recipe =
      "[[events]]\npath = \"log.parquet\"\nuser = \"u\"\nitem = \"i\"\ntime = \"t\"\n[split]\nkind "
      "= "
      "\"user_last\"\n";
  const auto begin = std::chrono::steady_clock::now();
  log.ingest(recipe);
  const auto whole = std::chrono::steady_clock::now() - begin;
  int absent = 0;
  for (int kill_point = 0; kill_point < soak(8); ++kill_point) {
    fs::remove_all(log.out());
    const pid_t child = fork();
    if (child == 0) {
      log.ingest(recipe);
      _exit(0);
    }
    std::this_thread::sleep_for(whole * (kill_point % 8 + 1) / 7);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    if (!fs::exists(log.out())) {
      ++absent;
      continue;
    }
    EXPECT_EQ(log.open().clicks().size(), 50'000);
  }
  EXPECT_GT(absent, 0);
}

TEST(Rejects, ResultAsJsonCarriesTheContract) {
  const LogFolder log;
  log.write("log.csv", std::string("user,item,time,seconds\n,x,90,5\n") + kGood);
  const auto result = log.ingest(csv_events(kLoose));
  const Json json = to_json(result);
  EXPECT_EQ(json["rows_read"], 5);
  EXPECT_EQ(json["kept"], 4);
  EXPECT_EQ(json["rejected"].dump(), "{\"user_missing\":1}");
  EXPECT_THAT(describe(result),
              AllOf(HasSubstr("rows read 5, kept 4, rejected 1"), HasSubstr("LEAKS ACROSS USERS")));
}

}  // namespace
}  // namespace retort
