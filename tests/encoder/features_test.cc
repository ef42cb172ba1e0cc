// Raw features of a known user, spelt out from the log, must give what the bundle holds of them.
#include "retort/encoder/features.h"

#include <cmath>

#include "tests/bundle/tiny_bundle.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Features : public testing::Test {
 protected:
  Features() : bundle_(tiny_.publish().path) {}

  /// The JSON object that describes a user of the log at its end.
  Json spelt_out(int32_t user) const {
    const int64_t end = tiny_.dataset.end_time();
    std::vector<TinyClick> clicks;
    for (const TinyClick& click : tiny_.data.clicks)
      if (click.user == user) clicks.push_back(click);
    std::reverse(clicks.begin(), clicks.end());  // newest first
    Json json{{"user_id", fmt::format("u{}", user)}};
    const int32_t segment = tiny_.data.ids.at("user.segment")[static_cast<size_t>(user)];
    json["segment"] = segment == 0
                          ? "never heard of"
                          : tiny_.data.vocabularies.at("segment")[static_cast<size_t>(segment)];
    for (const char* name : {"history", "history.seconds", "history.age", "categories"})
      json[name] = Json::array();
    int64_t last_day = 0;
    for (const TinyClick& click : clicks) {
      last_day += click.time >= end - int64_t{86'400'000'000} ? 1 : 0;
      const int32_t category = tiny_.data.ids.at("item.category")[static_cast<size_t>(click.item)];
      json["history"].push_back(fmt::format("i{}", click.item));
      json["history.seconds"].push_back(std::isnan(click.seconds) ? Json() : Json(click.seconds));
      json["history.age"].push_back(static_cast<double>(end - click.time) / 1e6);
      json["categories"].push_back(
          tiny_.data.vocabularies.at("category")[static_cast<size_t>(category)]);
    }
    const int64_t days = end / int64_t{86'400'000'000};
    json["hour"] = end / int64_t{3'600'000'000} % 24;
    json["weekday"] = (days + 3) % 7;
    json["user_clicks_1d"] = last_day;
    return json;
  }

  std::string error(const Json& features) const {
    try {
      raw_user(bundle_, features);
    } catch (const DataError& error) {
      return error.what();
    }
    return "accepted";
  }

  const TinyPublication tiny_;
  const Bundle bundle_;
};

TEST_F(Features, SpeltOutEqualTheAssembledOnes) {
  for (int32_t user = 0; user < 12; ++user) {
    const SideBatch expected = bundle_.user_features(std::span(&user, 1));
    const RawUser got = raw_user(bundle_, spelt_out(user));
    EXPECT_EQ(got.features.rows, 1);
    ASSERT_EQ(got.features.sparse.size(), expected.sparse.size());
    for (size_t i = 0; i < expected.sparse.size(); ++i) {
      EXPECT_EQ(got.features.sparse[i].ids, expected.sparse[i].ids) << "feature " << i;
      EXPECT_EQ(got.features.sparse[i].offsets, expected.sparse[i].offsets) << "feature " << i;
    }
    EXPECT_EQ(got.features.dense, expected.dense);
    EXPECT_TRUE(std::ranges::equal(got.seen, bundle_.seen_items(user)));
  }
}

TEST_F(Features, AbsentOnesAreMissingAndUnknownTextsAreRowZero) {
  const RawUser nobody = raw_user(bundle_, Json::object());
  const auto ids = [&](const RawUser& user, size_t feature) {
    return user.features.sparse[feature].ids;
  };
  for (const size_t categorical : {0u, 1u, 2u, 3u, 4u})
    EXPECT_THAT(ids(nobody, categorical), ElementsAre(0));
  for (const size_t sequence : {5u, 6u, 7u, 8u}) EXPECT_THAT(ids(nobody, sequence), ElementsAre());
  EXPECT_THAT(nobody.features.dense, ElementsAre(0, 0, 0));
  const RawUser user = raw_user(bundle_, {{"user_id", 99},
                                          {"device", "desk"},
                                          {"scroll", {2.5, nullptr}},
                                          {"history", {"i3", "new", "i3", "i1"}},
                                          {"hour", 0},
                                          {"segment", nullptr}});
  EXPECT_THAT(ids(user, 0), ElementsAre(0));
  EXPECT_THAT(ids(user, 2), ElementsAre(2));
  EXPECT_THAT(ids(user, 3), ElementsAre(1));
  EXPECT_THAT(ids(user, 5), ElementsAre(4, 0, 4, 2));
  EXPECT_THAT(user.seen, ElementsAre(1, 3));
  EXPECT_THAT(user.features.dense, ElementsAre(2.5f, 0, 0));
}

TEST(StreamFeatures, OnlyStreamsThatTheProtocolExcludesCountAsSeen) {
  TinyDataset data = random_tiny_dataset(4);
  for (const char* stream : {"watched", "liked"}) {
    data.streams[stream] = {{0, 5, data.clicks.front().time, 60}};
    data.schema.features.push_back({.name = stream,
                                    .kind = FeatureKind::kSequence,
                                    .source = FeatureSource::kHistory,
                                    .vocabulary = "item_id",
                                    .rows = data.items + 1,
                                    .of = "item_id",
                                    .stream = stream,
                                    .last = 4});
  }
  data.protocol.exclude_seen = true;
  data.protocol.exclude_streams = {"watched"};
  const TinyPublication tiny(std::move(data));
  const Bundle bundle(tiny.publish().path);
  const RawUser user = raw_user(bundle, {{"watched", {"i3"}}, {"liked", {"i4"}}});
  EXPECT_THAT(user.seen, ElementsAre(3));
}

TEST_F(Features, WrongOnesAreRefusedNamingTheFeature) {
  EXPECT_THAT(error(Json::array()), HasSubstr("no JSON object"));
  EXPECT_THAT(error({{"segmnt", "a"}}),
              HasSubstr("'segmnt' is no user feature of the model; did you mean 'segment'?"));
  EXPECT_THAT(error({{"tags", {"t1"}}}), HasSubstr("'tags' is no user feature"));
  EXPECT_THAT(error({{"segment", 1.5}}), HasSubstr("'segment' holds 1.5, expected a text"));
  EXPECT_THAT(error({{"hour", 24}}), HasSubstr("'hour' is 24, expected an hour from 0 to 23"));
  EXPECT_THAT(error({{"weekday", "Monday"}}), HasSubstr("'weekday'"));
  EXPECT_THAT(error({{"history", "i1"}}), HasSubstr("'history' is \"i1\", expected a list"));
  EXPECT_THAT(error({{"history.seconds", {"long"}}}),
              HasSubstr("'history.seconds' holds \"long\", expected a number"));
  EXPECT_THAT(error({{"history", {"i1", "i2"}}, {"history.seconds", {3}}}),
              HasSubstr("'history.seconds' has 1 values, 'history' beside it has 2"));
  EXPECT_THAT(error({{"scroll", 3}}), HasSubstr("'scroll' is no list of 2 numbers"));
  EXPECT_THAT(error({{"scroll", {1, 2, 3}}}), HasSubstr("'scroll' has 3 values, expected 2"));
  EXPECT_THAT(error({{"user_clicks_1d", "many"}}), HasSubstr("'user_clicks_1d' holds \"many\""));
}

}  // namespace
}  // namespace retort
