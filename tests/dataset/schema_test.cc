#include "retort/dataset/schema.h"

#include <cmath>
#include <limits>

#include "tests/support/tiny_dataset.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

TEST(Transform, MatchesHandValues) {
  EXPECT_EQ(Transform{}(2.5), 2.5);
  const Transform log{.kind = "log"};
  EXPECT_DOUBLE_EQ(log(std::exp(1.0) - 1), 1.0);
  EXPECT_EQ(log(-5), 0.0);
  const Transform standard{.kind = "standard", .mean = 10, .deviation = 4};
  EXPECT_EQ(standard(12), 0.5);
  for (const Transform& transform : {Transform{}, log, standard}) {
    EXPECT_EQ(transform(kNaN), 0.0);
    EXPECT_EQ(transform(std::numeric_limits<double>::infinity()), 0.0);
  }
}

TEST(Transform, BucketsCountBoundariesNotAbove) {
  const Transform bucket{.kind = "bucket", .boundaries = {1, 3, 10}};
  EXPECT_EQ(bucket.bucket(0.5), 1);
  EXPECT_EQ(bucket.bucket(1), 2);
  EXPECT_EQ(bucket.bucket(2.9), 2);
  EXPECT_EQ(bucket.bucket(10), 4);
  EXPECT_EQ(bucket.bucket(1e30), 4);
  EXPECT_EQ(bucket.bucket(kNaN), 0);
}

TEST(Schema, SplitsFeaturesBySideAndKindInOrder) {
  Schema schema;
  schema.features = {{.name = "a", .rows = 3},
                     {.name = "b", .kind = FeatureKind::kDense, .width = 3},
                     {.name = "c", .side = Side::kItem, .rows = 2},
                     {.name = "d", .kind = FeatureKind::kDense},
                     {.name = "e", .kind = FeatureKind::kBag, .rows = 2}};
  EXPECT_THAT(schema.sparse_of(Side::kUser), ElementsAre(0, 4));
  EXPECT_THAT(schema.dense_of(Side::kUser), ElementsAre(1, 3));
  EXPECT_EQ(schema.dense_width(Side::kUser), 4);
  EXPECT_EQ(schema.dense_width(Side::kItem), 0);
  EXPECT_EQ(schema.find("d"), &schema.features[3]);
  EXPECT_EQ(schema.find("z"), nullptr);
}

TEST(Schema, OfEveryKindSurvivesTheRoundTrip) {
  const Schema schema = random_tiny_dataset(1).schema;
  const Json json = to_json(schema);
  const Schema back = schema_from_json(Json::parse(json.dump()));
  EXPECT_EQ(to_json(back), json);
  ASSERT_EQ(back.features.size(), schema.features.size());
  const FeatureSpec& spec = *back.find("category_clicks");
  EXPECT_EQ(spec.side, Side::kItem);
  EXPECT_EQ(spec.kind, FeatureKind::kDense);
  EXPECT_EQ(spec.source, FeatureSource::kAsOf);
  EXPECT_EQ(spec.of, "category");
  EXPECT_EQ(spec.window, 3 * 3'600'000'000LL);
  EXPECT_THAT(back.find("clicks_ever")->transform.boundaries, ElementsAre(1, 3, 10));
  EXPECT_EQ(back.find("length")->transform.deviation, 20);
}

struct Wrong {
  const char* feature;
  const char* key;
  Json value;
};

std::string error_of(const Json& json) {
  try {
    schema_from_json(json);
  } catch (const DataError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Schema, RefusesWhatDoesNotFitNamingFeatureAndKey) {
  const Json good = to_json(random_tiny_dataset(1).schema);
  const std::vector<Wrong> wrongs{
      {"segment", "side", "users"},
      {"segment", "kind", 3},
      {"segment", "source", "magic"},
      {"segment", "rows", 0},
      {"segment", "rows", 2.5},
      {"segment", "rows", 1LL << 40},
      {"segment", "oov_dropout", 1.0},
      {"tags", "dropout", 1.0},
      {"segment", "dropout", 0.5},
      {"segment", "rowz", 3},
      {"scroll", "width", 0},
      {"device", "side", "item"},
      {"hour", "part", "minute"},
      {"hour", "rows", 24},
      {"weekday", "rows", 7},
      {"history", "last", 0},
      {"history", "of", "tags"},
      {"history", "of", "segment"},
      {"history", "rows", 3},
      {"history.seconds", "with", "mood"},
      {"history.age", "rows", 31},
      {"clicks_1h", "statistic", "sum"},
      {"clicks_1h", "window", -1},
      {"clicks_1h", "of", "nothing"},
      {"user_clicks_1d", "of", "item"},
      {"category_clicks", "of", "user"},
      {"clicks_ever", "rows", 4},
      {"same_category", "side", "item"},
      {"same_category", "of", "user"},
      {"length", "transform", Json{{"kind", "cube"}}},
      {"clicks_ever", "transform", Json{{"kind", "bucket"}, {"boundaries", {3, 1}}}},
      {"length", "transform", Json{{"kind", "standard"}, {"deviation", 0}}},
      {"length", "transform", Json{{"kind", "bucket"}, {"boundaries", {1}}}}};
  EXPECT_EQ(error_of(good), "no error");
  for (const Wrong& wrong : wrongs) {
    Json bad = good;
    for (Json& feature : bad)
      if (feature["name"] == wrong.feature) feature[wrong.key] = wrong.value;
    EXPECT_THAT(error_of(bad),
                AllOf(HasSubstr(fmt::format("'{}'", wrong.feature)), HasSubstr("key '")))
        << wrong.key << " = " << wrong.value;
  }
}

TEST(Schema, RefusesUnknownKeysWithTheNearestOneAndBadNames) {
  Json json = to_json(random_tiny_dataset(1).schema);
  json[1]["vocabulery"] = "x";
  EXPECT_THAT(error_of(json), HasSubstr("did you mean 'vocabulary'"));
  for (const char* name : {"", "a/b", "../a", ".a", "a b"}) {
    Json bad = to_json(random_tiny_dataset(1).schema);
    bad[1]["name"] = name;
    EXPECT_THAT(error_of(bad), HasSubstr("key 'name'")) << name;
  }
  Json twice = to_json(random_tiny_dataset(1).schema);
  twice.push_back(twice[0]);
  EXPECT_THAT(error_of(twice), HasSubstr("occurs twice"));
  EXPECT_THAT(error_of(Json::object()), HasSubstr("list of features"));
  EXPECT_THAT(error_of(Json{3}), HasSubstr("no table"));
}

}  // namespace
}  // namespace retort
