#include "retort/dataset/score_store.h"

#include <algorithm>
#include <cmath>

#include "tests/support/scratch_folder.h"
#include "tests/support/tiny_dataset.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/rng.h"
#include "retort/common/text.h"
#include "retort/log/duckdb.h"

namespace retort {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr int64_t kHour = int64_t{3'600'000'000}, kDay = 24 * kHour;
const int64_t kStart = parse_moment("2024-03-04", "test");

/// A score as the test itself remembers it.
struct Row {
  int32_t user, item;
  int64_t time;
  double click, read;
};

class Scores : public testing::Test {
 protected:
  Scores() {
    random_tiny_dataset(3, 6, 8, 60).write(scratch_ / "data");
    dataset_ = std::make_unique<Dataset>(scratch_ / "data");
  }
  /// Writes a query's rows.
  std::string file(const std::string& name, const std::string& sql) {
    const std::string path = (scratch_ / name).string();
    DuckDb db;
    db.run("COPY (" + sql + ") TO " + sql_string(path) + " (FORMAT parquet)");
    return path;
  }
  /// Random rows over four days, several of one pair and even of one moment among them.
  std::vector<Row> random_rows(int32_t count) {
    const Rng rng(5, "scores");
    std::vector<Row> rows;
    for (int32_t i = 0; i < count; ++i) {
      const auto at = [&](uint64_t n, uint64_t draw) {
        return rng.below(n, 8 * static_cast<uint64_t>(i) + draw);
      };
      rows.push_back({static_cast<int32_t>(at(6, 0)), static_cast<int32_t>(at(8, 1)),
                      kStart + static_cast<int64_t>(at(16, 2)) * 6 * kHour,
                      rng.normal(10'000 + static_cast<uint64_t>(i)),
                      rng.normal(20'000 + static_cast<uint64_t>(i))});
    }
    return rows;
  }
  std::string write(const std::vector<Row>& rows) {
    std::string sql;
    for (const Row& row : rows)
      sql += fmt::format(
          "{}SELECT 'u{}' AS user, 'i{}' AS item, make_timestamp({}) AS time, "
          "{}::DOUBLE AS z_click, {}::DOUBLE AS z_read, 'v1' AS snapshot",
          sql.empty() ? "" : " UNION ALL ", row.user, row.item, row.time, row.click, row.read);
    return file("scores.parquet", sql);
  }
  const ScratchFolder scratch_;
  std::unique_ptr<Dataset> dataset_;
};

int64_t day(int64_t time) { return (time - kStart) / kDay; }

TEST_F(Scores, APairFindsTheScoreThatABruteForceJoinFinds) {
  const std::vector<Row> rows = random_rows(300);
  const std::string path = write(rows);
  struct Case {
    std::string match;
    int64_t lag;
  };
  for (const auto& [match, lag] : {Case{"row", 0}, Case{"day", 0}, Case{"day", kDay},
                                   Case{"pair", 0}, Case{"pair", 30 * kHour}}) {
    ScoreFile options{.file = path};
    options.match = match;
    options.lag = lag;
    const ScoreStore store(*dataset_, options);
    ASSERT_THAT(store.names(), ElementsAre("click", "read"));
    int64_t found = 0;
    for (int32_t user = 0; user < 6; ++user)
      for (int32_t item = 0; item < 8; ++item)
        for (int64_t time = kStart; time < kStart + 4 * kDay; time += 3 * kHour) {
          const Row* best = nullptr;
          for (const Row& row : rows) {
            if (row.user != user || row.item != item) continue;
            const bool fits = match == "row"   ? row.time == time
                              : match == "day" ? day(row.time) == day(time) - day(kStart + lag)
                              : lag > 0        ? row.time <= time - lag
                                               : true;
            if (fits && (best == nullptr || row.time >= best->time)) best = &row;
          }
          const int64_t at = store.find(user, item, time);
          ASSERT_EQ(at >= 0, best != nullptr) << match << ' ' << lag;
          if (best == nullptr) continue;
          ++found;
          ASSERT_FLOAT_EQ(store.logit(0, at), static_cast<float>(best->click));
          ASSERT_FLOAT_EQ(store.logit(1, at), static_cast<float>(best->read));
          bool listed = false;
          store.each_of(user, time, [&](int32_t one, int64_t place) {
            if (one == item) listed = place == at;
          });
          ASSERT_TRUE(listed);
        }
    EXPECT_GT(found, 50) << match;
  }
}

TEST_F(Scores, ListsAreThePairsLatestScoresInDescendingOrder) {
  const std::vector<Row> rows = random_rows(200);
  ScoreStore store(*dataset_, {.file = write(rows)});
  store.make_lists({{"read", 1.0}, {"click", 0.5}});
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  for (int32_t user = 0; user < 6; ++user) {
    std::vector<std::pair<double, int32_t>> expected;  // minus probability, item
    for (int32_t item = 0; item < 8; ++item) {
      const Row* latest = nullptr;
      for (const Row& row : rows)
        if (row.user == user && row.item == item && (!latest || row.time >= latest->time))
          latest = &row;
      if (latest != nullptr)
        expected.emplace_back(-sigmoid(latest->read) * std::sqrt(sigmoid(latest->click)), item);
    }
    std::sort(expected.begin(), expected.end());
    const ScoreStore::List list = store.list(user);
    ASSERT_EQ(list.item.size(), expected.size());
    for (size_t at = 0; at < expected.size(); ++at) {
      EXPECT_EQ(list.item[at], expected[at].second);
      EXPECT_NEAR(sigmoid(list.score[at]), -expected[at].first, 1e-6);
      EXPECT_EQ(store.rank(user, expected[at].second), static_cast<int32_t>(at) + 1);
    }
  }
}

TEST_F(Scores, AnyParquetOfUserItemScoreAndSnapshotWillDo) {
  ScoreFile options{
      .file = file("other.parquet",
                   "SELECT * FROM (VALUES ('u1', 'i2', 0.75, 'a'), ('u1', 'i3', 0.5, "
                   "'b'), ('u9', 'i1', 0.1, 'a'), ('u2', 'i77', 0.2, 'a'), ('u2', "
                   "'i78', 0.2, 'a'), ('u3', 'i1', NULL, 'a')) t(who, what, p, version)")};
  options.user = "who";
  options.item = "what";
  options.snapshot = "version";
  options.logits = {{"read", "p"}};
  options.probabilities = true;
  const ScoreStore store(*dataset_, options);
  EXPECT_EQ(store.match(), "pair");
  EXPECT_NEAR(store.logit(0, store.find(1, 2, 5)), std::log(3.0), 1e-6);
  EXPECT_NEAR(store.logit(0, store.find(1, 3, 7)), 0, 1e-6);
  EXPECT_EQ(store.snapshots()[static_cast<size_t>(store.snapshot(store.find(1, 3, 0)))], "b");
  EXPECT_EQ(store.find(3, 1, 0), -1);
  const ScoreStore::Counts& counts = store.counts();
  EXPECT_EQ(counts.rows, 6);
  EXPECT_EQ(counts.kept, 2);
  EXPECT_EQ(counts.unknown_user, 1);
  EXPECT_EQ(counts.unknown_item, 2);
  EXPECT_EQ(counts.no_score, 1);
  EXPECT_EQ(counts.snapshots, 2);
  EXPECT_THAT(store.describe(), AllOf(HasSubstr("u9"), HasSubstr("i77, i78")));
}

TEST_F(Scores, AFileThatDoesNotFitIsNamedWithKeyColumnAndRemedy) {
  const auto opened = [&](ScoreFile options) { ScoreStore store(*dataset_, options); };
  const std::string path = file("s.parquet", "SELECT 'u1' AS user, 'i1' AS item, 3.0 AS score");
  EXPECT_THAT([&] { opened({}); }, ThrowsMessage<ConfigError>(HasSubstr("retort score")));
  EXPECT_THAT([&] { opened({.file = "nowhere.parquet"}); },
              ThrowsMessage<IoError>(HasSubstr("nowhere.parquet")));
  EXPECT_THAT([&] { opened({.file = path, .item = "itme"}); },
              ThrowsMessage<ConfigError>(AllOf(HasSubstr("scores.item"), HasSubstr("'item'"))));
  EXPECT_THAT([&] { opened({.file = path, .match = "row"}); },
              ThrowsMessage<ConfigError>(HasSubstr("scores.match")));
  EXPECT_THAT([&] { opened({.file = path, .lag = kDay}); },
              ThrowsMessage<ConfigError>(HasSubstr("scores.lag")));
  EXPECT_THAT([&] { opened({.file = path, .time = "score"}); },
              ThrowsMessage<ConfigError>(HasSubstr("scores.time")));
  EXPECT_THAT([&] { opened({.file = path, .probabilities = true}); },
              ThrowsMessage<DataError>(AllOf(HasSubstr("row 1"), HasSubstr("scores.unit"))));
  EXPECT_THAT(
      [&] {
        opened({.file = file("t.parquet", "SELECT 'x' AS user, 'i1' AS item, 1.0 AS score")});
      },
      ThrowsMessage<DataError>(AllOf(HasSubstr("none of its 1 rows"), HasSubstr("(x)"))));
  ScoreStore store(*dataset_, {.file = path});
  EXPECT_THAT(
      [&] {
        store.make_lists({{"read", 1.0}});
      },
      ThrowsMessage<ConfigError>(HasSubstr("scores.lists.order")));
}

}  // namespace
}  // namespace retort
