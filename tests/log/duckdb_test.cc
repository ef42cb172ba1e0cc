#include "retort/log/duckdb.h"

#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

TEST(DuckDb, ReadsEveryTypeByColumn) {
  DuckDb db;
  int64_t rows = 0;
  db.query(
      "SELECT 7::UTINYINT, -3::SMALLINT, 2.5::FLOAT, 'a long text beyond twelve bytes', true, "
      "NULL::INTEGER, TIMESTAMP '1970-01-02', [4, 5]::INTEGER[], ['x', NULL, 'y']",
      [&](const ResultChunk& chunk) {
        rows += chunk.rows();
        EXPECT_EQ(chunk.integer(0, 0), 7);
        EXPECT_EQ(chunk.integer(1, 0), -3);
        EXPECT_EQ(chunk.number(2, 0), 2.5);
        EXPECT_EQ(chunk.text(3, 0), "a long text beyond twelve bytes");
        EXPECT_TRUE(chunk.boolean(4, 0));
        EXPECT_TRUE(chunk.is_null(5, 0));
        EXPECT_EQ(chunk.integer(6, 0), 86'400'000'000);
        EXPECT_EQ(chunk.integers(7, 0), (std::vector<int64_t>{4, 5}));
        EXPECT_EQ(chunk.texts(8, 0), (std::vector<std::string>{"x", "y"}));
      });
  EXPECT_EQ(rows, 1);
}

TEST(DuckDb, StreamsATableInTheOrderItWasWritten) {
  DuckDb db;
  db.run(
      "CREATE TABLE t AS SELECT range AS a FROM range(700000); INSERT INTO t SELECT range + "
      "700000 FROM range(300000)");
  int64_t next = 0;
  db.query("SELECT a, rowid FROM t", [&](const ResultChunk& chunk) {
    for (int64_t row = 0; row < chunk.rows(); ++row, ++next) {
      ASSERT_EQ(chunk.integer(0, row), next);
      ASSERT_EQ(chunk.integer(1, row), next);
    }
  });
  EXPECT_EQ(next, 1'000'000);
}

TEST(DuckDb, ErrorsCarryTheContextAndDuckDbsWords) {
  DuckDb db;
  try {
    db.run("SELECT nothing FROM nowhere", "log.csv");
    FAIL() << "no error";
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("log.csv: "), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("nowhere"), std::string::npos);
  }
  EXPECT_THROW(db.query("SELECT CAST('x' AS INTEGER)", [](const ResultChunk&) {}), DataError);
  DuckDbOptions wrong;
  wrong.memory_limit = "a lot";
  EXPECT_THROW(DuckDb{wrong}, ConfigError);
}

TEST(DuckDb, NeverReachesForTheNetwork) {
  DuckDb db;
  EXPECT_THROW(db.run("LOAD spatial"), DataError);
  EXPECT_EQ(
      db.query_text("SELECT CAST(current_setting('autoinstall_known_extensions') AS VARCHAR)"),
      "false");
  EXPECT_EQ(db.query_text("SELECT CAST(current_setting('autoload_known_extensions') AS VARCHAR)"),
            "false");
}

TEST(DuckDb, AppendsAndDescribes) {
  DuckDb db;
  db.run("CREATE TABLE t (k BIGINT)");
  const std::vector<int64_t> values{5, -1, 9};
  db.append("t", values);
  EXPECT_EQ(db.query_integer("SELECT CAST(sum(k) AS BIGINT) FROM t"), 13);
  EXPECT_EQ(db.query_integer("SELECT k FROM t WHERE rowid = 1"), -1);
  const auto columns = db.describe("SELECT 1 AS a, ['x'] AS b");
  ASSERT_EQ(columns.size(), 2u);
  EXPECT_EQ(columns[1], (std::pair<std::string, std::string>{"b", "VARCHAR[]"}));
}

TEST(DuckDb, QuotesTextsAndNames) {
  EXPECT_EQ(sql_string("it's"), "'it''s'");
  EXPECT_EQ(sql_name("a \"b\""), "\"a \"\"b\"\"\"");
}

}  // namespace
}  // namespace retort
