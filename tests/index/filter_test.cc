#include "retort/index/filter.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

/// Strings and codes that live as long as the fixture.
struct TextColumn {
  std::vector<uint8_t> bytes;
  std::vector<int64_t> places{0}, offsets{0};
  std::vector<int32_t> codes;
  TextColumn(const std::vector<std::string>& values,
             const std::vector<std::vector<int32_t>>& rows) {
    for (const std::string& value : values) {
      bytes.insert(bytes.end(), value.begin(), value.end());
      places.push_back(std::ssize(bytes));
    }
    for (const auto& row : rows) {
      codes.insert(codes.end(), row.begin(), row.end());
      offsets.push_back(std::ssize(codes));
    }
  }
  TextAttribute view() const { return {Strings(bytes, places), codes, offsets}; }
};

class Filter : public testing::Test {
 protected:
  // item:                                        0    1    2     3     4 (nothing known)
  const TextColumn category_{{"3", "12", "news"}, {{0}, {1}, {0}, {2}, {}}};
  const TextColumn author_{{"a", "b", "it's"}, {{0}, {0, 1}, {2}, {1}, {}}};
  const std::vector<double> length_{1, 2, 3, -4.5, NAN};
  ItemAttributes attributes_{5};
  void SetUp() override {
    attributes_.add("category", category_.view());
    attributes_.add("author", author_.view());
    attributes_.add("length", NumberAttribute{length_});
    attributes_.add("odd name", NumberAttribute{length_});
  }
  std::vector<int> items(const std::string& condition) const {
    std::vector<int> items;
    filter_items(condition, attributes_).each(0, 5, [&](int32_t item) { items.push_back(item); });
    return items;
  }
  std::string error(const std::string& condition) const {
    try {
      filter_items(condition, attributes_);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "no error";
  }
};

TEST_F(Filter, ComparesTextsAndNumbers) {
  EXPECT_THAT(items("category = 3"), ElementsAre(0, 2));
  EXPECT_THAT(items("category == '3'"), ElementsAre(0, 2));
  EXPECT_THAT(items("category = \"news\""), ElementsAre(3));
  EXPECT_THAT(items("category >= 3"), ElementsAre(0, 1, 2));
  EXPECT_THAT(items("category < 12"), ElementsAre(0, 2));
  EXPECT_THAT(items("author = 'it''s'"), ElementsAre(2));
  EXPECT_THAT(items("length = 2"), ElementsAre(1));
  EXPECT_THAT(items("length < 2"), ElementsAre(0, 3));
  EXPECT_THAT(items("length <= +2.0"), ElementsAre(0, 1, 3));
  EXPECT_THAT(items("length > -4.5"), ElementsAre(0, 1, 2));
  EXPECT_THAT(items("`odd name` >= -45e-1"), ElementsAre(0, 1, 2, 3));
}

TEST_F(Filter, SeveralValuesPassIfOneDoes) {
  EXPECT_THAT(items("author = 'b'"), ElementsAre(1, 3));
  EXPECT_THAT(items("author in ('a', \"b\")"), ElementsAre(0, 1, 3));
}

TEST_F(Filter, MissingValuesPassOnlyTheOpposites) {
  EXPECT_THAT(items("length != 2"), ElementsAre(0, 2, 3, 4));
  EXPECT_THAT(items("category <> 3"), ElementsAre(1, 3, 4));
  EXPECT_THAT(items("author not in ('a')"), ElementsAre(2, 3, 4));
  EXPECT_THAT(items("length < 100"), ElementsAre(0, 1, 2, 3));
}

TEST_F(Filter, BindsNotBeforeAndBeforeOr) {
  EXPECT_THAT(items("category = 3 or category = 12 and length = 2"), ElementsAre(0, 1, 2));
  EXPECT_THAT(items("(category = 3 or category = 12) and length = 2"), ElementsAre(1));
  EXPECT_THAT(items("not category = 3 and length > 0"), ElementsAre(1));
  EXPECT_THAT(items("NOT (category = 3 And length > 2)"), ElementsAre(0, 1, 3, 4));
  EXPECT_THAT(items("not not length = 2"), ElementsAre(1));
  EXPECT_THAT(items("category = 3 and (length >= 2 or author in ('a','b')) and not author = \"x\""),
              ElementsAre(0, 2));
}

TEST_F(Filter, ErrorsNameThePositionAndTheNearestAttribute) {
  EXPECT_THAT(error("categry = 3"),
              HasSubstr("unknown attribute 'categry'; did you mean 'category'? at position 1"));
  EXPECT_THAT(error("length = 2 and lngth = 3"),
              HasSubstr("did you mean 'length'? at position 16"));
  EXPECT_THAT(error("zzzzzzzzzzzz = 3"), HasSubstr("there are: author, category, length"));
  EXPECT_THAT(error("category = "),
              HasSubstr("expected a number or a quoted text, found the end at position 12"));
  EXPECT_THAT(error("category 3"), HasSubstr("expected a comparison"));
  EXPECT_THAT(error("category = news"), HasSubstr("found 'news' at position 12"));
  EXPECT_THAT(error("category = 'news"), HasSubstr("no closing ' at position 12"));
  EXPECT_THAT(error("(category = 3"), HasSubstr("expected ')', found the end"));
  EXPECT_THAT(error("category = 3)"), HasSubstr("found ')' at position 13"));
  EXPECT_THAT(error("category in 3"), HasSubstr("expected '('"));
  EXPECT_THAT(error("category in (3"), HasSubstr("expected ',' or ')'"));
  EXPECT_THAT(error("category not 3"), HasSubstr("expected 'in'"));
  EXPECT_THAT(error("length = 1-2"), HasSubstr("'1-2' is not a number"));
  EXPECT_THAT(error("length = 'long'"), HasSubstr("compared as a number at position 10"));
  EXPECT_THAT(error("category < 'news'"), HasSubstr("compared as a number"));
  EXPECT_THAT(error("length % 2"), HasSubstr("unexpected '%' at position 8"));
  EXPECT_THAT(error(""), HasSubstr("found the end at position 1"));
  EXPECT_THAT(error("and"), HasSubstr("unknown attribute 'and'"));
  EXPECT_THAT(error(std::string(100'000, '(')), HasSubstr("nested too deeply"));
}

TEST(ItemAttributes, RefuseColumnsThatDoNotFit) {
  const TextColumn good{{"x"}, {{0}, {}}}, bad_code{{"x"}, {{0}, {1}}}, short_column{{"x"}, {{0}}};
  ItemAttributes attributes(2);
  attributes.add("good", good.view());
  EXPECT_THAT([&] { attributes.add("bad", bad_code.view()); },
              ThrowsMessage<DataError>(HasSubstr("'bad': code 1")));
  EXPECT_THAT([&] { attributes.add("short", short_column.view()); },
              ThrowsMessage<DataError>(HasSubstr("'short'")));
  EXPECT_THAT([&] { attributes.add("n", NumberAttribute{std::vector<double>{1}}); },
              ThrowsMessage<DataError>(HasSubstr("'n': 1 values for 2 items")));
}

}  // namespace
}  // namespace retort
