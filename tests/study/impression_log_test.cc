// Oracle: rows written by hand.
#include "retort/study/impression_log.h"

#include <cmath>

#include "tests/support/scratch_folder.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr int64_t kAlways = int64_t{1} << 60;

void write_rows(const fs::path& file, const std::string& select) {
  DuckDb db;
  fs::create_directories(file.parent_path());
  db.run(fmt::format("COPY ({}) TO {} (FORMAT parquet)", select, sql_string(file.string())));
}

const std::string kRows =
    "SELECT * FROM (VALUES ('u1', 'a', make_timestamp(2000), 1, true, 12.5, 0.25), "
    "('u1', 'b', make_timestamp(2000), 2, false, NULL, 0.5), "
    "('u0', 'a', make_timestamp(1000), 1, true, NULL, 1.0)) "
    "AS t(user_id, item_id, time, position, clicked, seconds, propensity)";

std::vector<std::string> read_all(ImpressionLog& log, int64_t from, int64_t until,
                                  bool propensities) {
  std::vector<std::string> rows;
  log.each(from, until, propensities, [&](const Impression& shown) {
    rows.push_back(fmt::format("{} {} {} {} {} {}", shown.user, shown.item, shown.position,
                               shown.clicked ? "click" : "-", shown.seconds, shown.propensity));
  });
  return rows;
}

TEST(ImpressionLog, GivesRowsInOrderWithinTheTime) {
  const ScratchFolder scratch;
  write_rows(scratch / "impressions.parquet", kRows);
  ImpressionLog log(scratch.path());
  EXPECT_EQ(log.span(), (std::pair<int64_t, int64_t>(1000, 2001)));
  log.require_propensities(0, kAlways);
  EXPECT_THAT(read_all(log, 0, kAlways, true),
              ElementsAre("u0 a 1 click 0 1", "u1 a 1 click 12.5 0.25", "u1 b 2 - 0 0.5"));
  EXPECT_THAT(read_all(log, 1500, 2001, false),
              ElementsAre("u1 a 1 click 12.5 nan", "u1 b 2 - 0 nan"));
  KeyNumbers users, items;
  log.add_keys(users, items);
  EXPECT_EQ(users.find("u1"), 1);
  EXPECT_EQ(items[1], "b");
  EXPECT_EQ(items.find("c"), std::nullopt);
  EXPECT_THAT(log.category_bits(items), ElementsAre(0u, 0u));
  write_rows(scratch / "items.parquet",
             "SELECT * FROM (VALUES ('b', 'sport'), ('z', 'art')) AS t(item_id, category)");
  EXPECT_THAT(log.category_bits(items), ElementsAre(0u, 2u));
}

TEST(ImpressionLog, WithoutPropensitiesCounterfactualsAreRefusedNamingFileAndColumn) {
  const ScratchFolder scratch;
  const std::string file = (scratch / "log.parquet").string();
  write_rows(file, "SELECT * EXCLUDE (propensity) FROM (" + kRows + ")");
  ImpressionLog none{file};
  EXPECT_EQ(read_all(none, 0, kAlways, false).size(), 3u);
  EXPECT_THAT([&] { none.require_propensities(0, kAlways); },
              ThrowsMessage<DataError>(AllOf(HasSubstr(file), HasSubstr("no column 'propensity'"),
                                             HasSubstr("counterfactual.enabled"))));
  for (const char* wrong : {"NULL", "0.0", "1.5", "'nan'::DOUBLE"}) {
    write_rows(file,
               fmt::format("SELECT * REPLACE (CASE WHEN item_id = 'b' THEN {} ELSE propensity "
                           "END AS propensity) FROM ({})",
                           wrong, kRows));
    ImpressionLog some{file};
    EXPECT_THAT([&] { some.require_propensities(0, kAlways); },
                ThrowsMessage<DataError>(
                    AllOf(HasSubstr(file), HasSubstr("'propensity'"), HasSubstr("in 1 rows"))))
        << wrong;
    some.require_propensities(0, 1500);  // the row is later
  }
}

TEST(ImpressionLog, MissingFilesAndColumnsAreNamed) {
  const ScratchFolder scratch;
  EXPECT_THAT([&] { ImpressionLog log(scratch / "nowhere"); },
              ThrowsMessage<DataError>(HasSubstr("nowhere")));
  const std::string file = (scratch / "log.parquet").string();
  write_rows(file, "SELECT * EXCLUDE (position) FROM (" + kRows + ")");
  EXPECT_THAT([&] { ImpressionLog log(file); },
              ThrowsMessage<DataError>(HasSubstr("no column 'position'")));
  write_rows(file, "SELECT * FROM (" + kRows + ") WHERE false");
  ImpressionLog empty{file};
  EXPECT_THAT([&] { empty.span(); }, ThrowsMessage<DataError>(HasSubstr("has no rows")));
}

TEST(ImpressionLog, JoinsTheAnswersOfAServerWithItsEvents) {
  const ScratchFolder scratch;
  write_rows(
      scratch / "exposures/0.parquet",
      "SELECT * FROM (VALUES "
      "('r1', 'u1', make_timestamp(1000000), 'm', 1, NULL, ['a', 'b'], NULL, [.5, .1], "
      "[1.0, 0.02]), "
      "('r2', NULL, make_timestamp(1000000), 'm', 1, NULL, ['b'], ['popular'], [.1], [1.0])) "
      "AS t(request_id, user_id, time, model, version, arm, items, channels, scores, "
      "propensities)");
  write_rows(scratch / "events/0.parquet",
             "SELECT * FROM (VALUES ('u1', 'b', make_timestamp(3000000), true, 20.0, "
             "NULL::VARCHAR), ('u1', 'b', make_timestamp(4000000), true, 5.0, NULL)) "
             "AS t(user_id, item_id, time, clicked, seconds, stream)");
  ImpressionLog log(scratch.path());
  log.require_propensities(0, kAlways);
  EXPECT_THAT(read_all(log, 0, kAlways, true), ElementsAre("u1 a 1 - 0 1", "u1 b 2 click 25 0.02"));
}

}  // namespace
}  // namespace retort
