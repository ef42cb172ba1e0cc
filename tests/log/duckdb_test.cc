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

TEST(DuckDb, AppendsRowsOfEveryTypeOverManyChunks) {
  DuckDb db;
  db.run(
      "CREATE TABLE t (a VARCHAR, b BOOLEAN, c INTEGER, d BIGINT, e FLOAT, f DOUBLE, g TIMESTAMP, "
      "h VARCHAR[], i FLOAT[])");
  TableAppender rows(db, "t");
  const std::string longer = "a text of more than twelve bytes ";
  for (int64_t row = 0; row < 5000; ++row) {
    const std::vector<std::string> texts(static_cast<size_t>(row % 3),
                                         longer + std::to_string(row));
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    const std::vector<float> numbers(static_cast<size_t>(row % 3), static_cast<float>(row));
    row % 7 == 0 ? rows.null() : rows.text(longer + std::to_string(row));
    rows.integer(row % 2);
    rows.integer(-row);
    row % 5 == 0 ? rows.null() : rows.integer(row << 33);
    rows.number(static_cast<float>(row) / 4);
    rows.number(0.5f);
    rows.moment(row);
    rows.texts(views);
    rows.numbers(numbers);
    rows.end_row();
  }
  rows.close();
  EXPECT_EQ(db.query_integer("SELECT count(*) FROM t"), 5000);
  EXPECT_EQ(
      db.query_integer(
          "SELECT count(*) FROM (SELECT *, rowid AS r FROM t) WHERE "
          "a IS NOT DISTINCT FROM CASE WHEN r % 7 <> 0 THEN 'a text of more than twelve bytes ' "
          "|| r END AND b = (r % 2 = 1) AND c = -r AND d IS NOT DISTINCT FROM CASE WHEN r % 5 "
          "<> 0 THEN r << 33 END AND e = r / 4 AND f = 0.5 AND epoch_us(g) = r AND "
          "h = list_transform(range(r % 3), x -> 'a text of more than twelve bytes ' || r) AND "
          "i = list_transform(range(r % 3), x -> r::FLOAT)"),
      5000);
  TableAppender wrong(db, "t");
  EXPECT_THROW(wrong.integer(1), ArgumentError) << "a text is expected";
  EXPECT_THROW(wrong.end_row(), ArgumentError) << "of one value";
}

TEST(DuckDb, QuotesTextsAndNames) {
  EXPECT_EQ(sql_string("it's"), "'it''s'");
  EXPECT_EQ(sql_name("a \"b\""), "\"a \"\"b\"\"\"");
}

}  // namespace
}  // namespace retort
