#include "retort/common/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

TEST(NearestName, FindsATypoAndNothingElse) {
  const std::vector<std::string> known{"batch", "epochs", "patience"};
  EXPECT_EQ(nearest_name("bacth", known), "batch");
  EXPECT_EQ(nearest_name("epoch", known), "epochs");
  EXPECT_EQ(nearest_name("zzzzzz", known), "");
  EXPECT_EQ(nearest_name("batch", {}), "");
}

TEST(Duration, ParsesEachUnit) {
  EXPECT_EQ(parse_duration("30s", "x"), 30'000'000);
  EXPECT_EQ(parse_duration("15m", "x"), 15 * 60'000'000LL);
  EXPECT_EQ(parse_duration("3h", "x"), 3 * 3'600'000'000LL);
  EXPECT_EQ(parse_duration("2d", "x"), 2 * 86'400'000'000LL);
  EXPECT_EQ(parse_duration("1w", "x"), 7 * 86'400'000'000LL);
  EXPECT_EQ(parse_duration("0s", "x"), 0);
}

TEST(Duration, RefusesEverythingElseNamingThePlace) {
  for (const char* wrong :
       {"", "h", "3", "3 h", "-3h", "3hours", "1.5h", "9223372036854775807d", "99999999999999d"}) {
    try {
      parse_duration(wrong, "recipe key 'split.test'");
      ADD_FAILURE() << "'" << wrong << "' was taken";
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr("split.test")) << wrong;
    }
  }
}

TEST(Duration, IsPrintedInTheLargestUnitThatDivides) {
  EXPECT_EQ(format_duration(3'600'000'000), "1h");
  EXPECT_EQ(format_duration(90 * 60'000'000LL), "90m");
  EXPECT_EQ(format_duration(86'400'000'000), "1d");
  for (const char* text : {"1s", "59s", "45m", "5h", "3d", "2w"})
    EXPECT_EQ(format_duration(parse_duration(text, "x")), text);
}

TEST(Moment, ParsesDateAndTimeInUtc) {
  EXPECT_EQ(parse_moment("1970-01-01", "x"), 0);
  EXPECT_EQ(parse_moment("1970-01-02 00:00:01", "x"), 86'401'000'000);
  EXPECT_EQ(parse_moment("2023-05-16T07:00:00", "x"), 1'684'220'400'000'000);  // date -u +%s
  EXPECT_EQ(parse_moment("2023-05-16 07:00", "x"), 1'684'220'400'000'000);
  EXPECT_EQ(parse_moment("2023-05-16T07:00:00Z", "x"), 1'684'220'400'000'000);
  EXPECT_EQ(parse_moment("2024-02-29", "x"), 1'709'164'800'000'000);
  EXPECT_EQ(parse_moment("1969-12-31 23:59:59", "x"), -1'000'000);
}

TEST(Moment, RefusesImpossibleDatesAndTrailingText) {
  for (const char* wrong :
       {"", "2023", "2023-13-01", "2023-02-29", "2023-02-30", "2023-257-01", "2023-01-257",
        "2023-05-16 24:00:00", "2023-05-16 07:60:00", "2023-05-16 07:00:00 UTC",
        "2023-05-16 07:00:00+02:00", "2023-05-16x07:00:00", "16.05.2023", "2023-05-16 "})
    EXPECT_THROW(parse_moment(wrong, "x"), ConfigError) << wrong;
}

TEST(Moment, IsPrintedAsItIsRead) {
  for (const char* text : {"2023-05-16 07:00:00", "1969-12-31 23:59:59", "2000-02-29 12:34:56"})
    EXPECT_EQ(format_moment(parse_moment(text, "x")), text);
}

TEST(Numbers, ArePrintedForPeople) {
  EXPECT_EQ(with_thousands(0), "0");
  EXPECT_EQ(with_thousands(999), "999");
  EXPECT_EQ(with_thousands(1000), "1,000");
  EXPECT_EQ(with_thousands(1234567), "1,234,567");
  EXPECT_EQ(with_thousands(-1234), "-1,234");
  EXPECT_EQ(format_bytes(812), "812 B");
  EXPECT_EQ(format_bytes(1258291), "1.2 MiB");
  EXPECT_EQ(format_seconds(12.34), "12.3s");
  EXPECT_EQ(format_seconds(65), "1m05s");
  EXPECT_EQ(format_seconds(3720), "1h02m");
}

}  // namespace
}  // namespace retort
