// Oracle: a dataset whose log has the events from the start, assembled at the later moment.
#include "retort/encoder/user_events.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "tests/bundle/tiny_bundle.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/dataset/assembler.h"

namespace retort {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr int64_t kSecond = 1'000'000;

/// Clicks in every kind of sequence: plain, distinct with side information, and of a stream.
TinyDataset with_sequences() {
  using enum FeatureSource;
  TinyDataset data = random_tiny_dataset(6);
  const auto add = [&](const std::string& name, const std::string& with, int64_t rows) {
    data.schema.features.push_back({.name = name,
                                    .kind = FeatureKind::kSequence,
                                    .source = kHistory,
                                    .vocabulary = with.empty() ? "item_id" : "",
                                    .rows = rows,
                                    .of = "item_id",
                                    .last = 6,
                                    .distinct = true,
                                    .with = with});
  };
  add("items", "", data.items + 1);
  add("items.count", "count", 16);
  add("items.seconds", "seconds", 16);
  add("items.age", "age", 32);
  data.schema.features.push_back({.name = "liked",
                                  .kind = FeatureKind::kSequence,
                                  .source = kHistory,
                                  .vocabulary = "item_id",
                                  .rows = data.items + 1,
                                  .of = "item_id",
                                  .stream = "liked",
                                  .last = 4});
  for (int32_t user = 0; user < data.users; ++user)
    data.streams["liked"].push_back({user, (user * 5) % data.items, data.clicks[0].time});
  data.protocol.exclude_streams = {"liked"};
  return data;
}

class UserEvents : public testing::Test {
 protected:
  UserEvents()
      : tiny_(with_sequences()), bundle_(tiny_.publish().path), moment_(bundle_.moment()) {}

  /// Features as the assembler gives them at `now` where the log holds the events too.
  SideBatch assembled(int32_t user, const std::vector<UserEvent>& events, int64_t now) const {
    TinyDataset data = with_sequences();
    for (const UserEvent& event : events) {
      const int32_t item = std::stoi(event.item.substr(1));
      if (!event.stream.empty()) {
        data.streams[event.stream].push_back({user, item, event.time, event.seconds});
      } else if (event.clicked) {
        data.clicks.push_back({user, item, event.time, event.seconds, Split::kTest});
        data.ids["clicks.device"].push_back(0);
        for (int i = 0; i < 2; ++i) data.values["clicks.scroll"].push_back(0);
      }
    }
    const ScratchFolder scratch;
    data.write(scratch / "later");
    const Dataset dataset(scratch / "later");
    const UserMoment row{user, now};
    SideBatch batch;
    Assembler(dataset).users(std::span(&row, 1), batch);
    return batch;
  }

  size_t place(const std::string& feature) const {
    const std::vector<int> sparse = bundle_.schema().sparse_of(Side::kUser);
    for (size_t i = 0; i < sparse.size(); ++i)
      if (bundle_.schema().features[static_cast<size_t>(sparse[i])].name == feature) return i;
    ADD_FAILURE() << feature;
    return 0;
  }
  std::vector<int32_t> ids(const RawUser& user, const std::string& feature) const {
    return user.features.sparse[place(feature)].ids;
  }

  const TinyPublication tiny_;
  const Bundle bundle_;
  const int64_t moment_;
};

TEST_F(UserEvents, AreAsIfTheLogHadThemFromTheStart) {
  // Items that the user has not clicked before: sums of distinct ones are then exact.
  for (int32_t user = 0; user < 12; ++user) {
    const auto seen = bundle_.seen_items(user);
    std::vector<UserEvent> events;
    for (int32_t item = 0, at = 1; item < 20 && events.size() < 3u + size_t(user % 3); ++item)
      if (!std::binary_search(seen.begin(), seen.end(), item))
        events.push_back({fmt::format("i{}", item), moment_ + kSecond * at++, true,
                          item % 3 == 0 ? NAN : 10.0f * static_cast<float>(item)});
    if (!events.empty()) {
      UserEvent again = events.front();  // the same item twice
      again.time += 4 * kSecond;
      again.seconds = 33;
      events.push_back(again);
    }
    events.push_back({"i2", moment_ + kSecond, true, 5, "liked"});
    events.push_back({"i3", moment_ + kSecond, false});  // shown, not clicked
    const int64_t now = moment_ + 9 * kSecond;
    const SideBatch expected = assembled(user, events, now);
    std::reverse(events.begin(), events.end());
    const RawUser got = user_after(bundle_, fmt::format("u{}", user), nullptr, events, now);
    ASSERT_EQ(got.features.sparse.size(), expected.sparse.size());
    for (size_t i = 0; i < expected.sparse.size(); ++i) {
      EXPECT_EQ(got.features.sparse[i].ids, expected.sparse[i].ids) << user << " feature " << i;
      EXPECT_EQ(got.features.sparse[i].offsets, expected.sparse[i].offsets);
    }
    std::set<int32_t> all(seen.begin(), seen.end());
    for (const UserEvent& event : events)
      if (event.clicked) all.insert(std::stoi(event.item.substr(1)));
    EXPECT_TRUE(std::ranges::equal(got.seen, all));
  }
}

TEST_F(UserEvents, WithoutEventsAUserIsTheBundlesOwnButForTheTime) {
  for (int32_t user = 0; user < 12; ++user) {
    const SideBatch own = bundle_.user_features(std::span(&user, 1));
    const RawUser got = user_after(bundle_, fmt::format("u{}", user), nullptr, {}, moment_);
    for (size_t i = 0; i < own.sparse.size(); ++i)
      EXPECT_EQ(got.features.sparse[i].ids, own.sparse[i].ids) << "feature " << i;
    EXPECT_EQ(got.features.dense, own.dense);
    EXPECT_TRUE(std::ranges::equal(got.seen, bundle_.seen_items(user)));
  }
  const int64_t noon = 1'709'640'000 * kSecond;  // Tuesday 2024-03-05 12:00 UTC
  const RawUser later = user_after(bundle_, "u1", nullptr, {}, noon);
  EXPECT_THAT(ids(later, "hour"), ElementsAre(13));
  EXPECT_THAT(ids(later, "weekday"), ElementsAre(2));
}

TEST_F(UserEvents, ADistinctSequenceMovesAnItemToTheFrontAndAddsToItsCount) {
  const int32_t user = 4;
  const RawUser before = user_after(bundle_, "u4", nullptr, {}, moment_);
  const std::vector<int32_t> items = ids(before, "items");
  ASSERT_EQ(items.size(), 6u);
  const std::vector<UserEvent> again{{fmt::format("i{}", items[3] - 1), moment_ + 1, true, 20}};
  const RawUser after = user_after(bundle_, "u4", nullptr, again, moment_ + kSecond);
  EXPECT_THAT(ids(after, "items"),
              ElementsAre(items[3], items[0], items[1], items[2], items[4], items[5]));
  const SideBatch expected = assembled(user, again, moment_ + kSecond);
  EXPECT_NEAR(ids(after, "items.count")[0], expected.sparse[place("items.count")].ids[0], 1);
  EXPECT_EQ(ids(after, "items.age"), expected.sparse[place("items.age")].ids);
  EXPECT_EQ(ids(after, "history").front(), items[3]);
}

TEST_F(UserEvents, OnlyEventsSinceTheBundlesMomentEnterSequencesButAllAreSeen) {
  const RawUser own = user_after(bundle_, "u2", nullptr, {}, moment_);
  const std::vector<UserEvent> old{{"i19", moment_ - 1, true, 3}, {"unheard of", moment_ - 5}};
  const RawUser got = user_after(bundle_, "u2", nullptr, old, moment_);
  EXPECT_EQ(ids(got, "history"), ids(own, "history"));
  EXPECT_TRUE(std::binary_search(got.seen.begin(), got.seen.end(), 19));
  EXPECT_THAT(got.seen_others, ElementsAre("unheard of"));
}

TEST_F(UserEvents, ANewUserIsWhatHeDid) {
  const std::vector<UserEvent> events{{"i3", moment_ - 50 * kSecond, true, 12},
                                      {"i5", moment_ + kSecond, true},
                                      {"unheard of", moment_ + 2 * kSecond, true}};
  const RawUser got = user_after(bundle_, "newcomer", nullptr, events, moment_ + 3 * kSecond);
  EXPECT_THAT(ids(got, "user_id"), ElementsAre(0));
  EXPECT_THAT(ids(got, "history"), ElementsAre(0, 6, 4));
  EXPECT_THAT(ids(got, "history.seconds"), ElementsAre(0, 0, 4));
  EXPECT_THAT(ids(got, "history.age"), ElementsAre(2, 2, 6));
  EXPECT_THAT(ids(got, "categories").size(), 3);
  EXPECT_THAT(got.seen, ElementsAre(3, 5));
}

TEST_F(UserEvents, AnItemThatTheBundleDoesNotHoldIsKnownByWhatOthersSayOfIt) {
  const std::vector<UserEvent> events{
      {"live", moment_ + 3}, {"i1", moment_ + 2}, {"?", moment_ + 1}};
  const auto others = [](const std::string& item) {
    return item == "?" ? Json() : Json{{"category", "sport"}, {"length", 3}};
  };
  const RawUser got = user_after(bundle_, "newcomer", nullptr, events, moment_ + 4, others);
  EXPECT_THAT(ids(got, "categories"), ElementsAre(2, tiny_.data.ids.at("item.category")[1], 0));
  EXPECT_THAT(ids(got, "history"), ElementsAre(0, 2, 0));
}

TEST_F(UserEvents, StoredFeaturesLieOverTheBundlesFeatureByFeature) {
  const RawUser own = user_after(bundle_, "u2", nullptr, {}, moment_);
  const Json profile{{"segment", "b"}, {"user_clicks_1d", 3}, {"of another model", 1}};
  const RawUser got = user_after(bundle_, "u2", profile, {}, moment_);
  EXPECT_THAT(ids(got, "segment"), ElementsAre(2));
  EXPECT_FLOAT_EQ(got.features.dense[2], std::log1p(3.0f));
  EXPECT_EQ(ids(got, "history"), ids(own, "history"));
  EXPECT_EQ(ids(got, "user_id"), ids(own, "user_id"));

  const Json history{
      {"moment", moment_ + 10 * kSecond}, {"history", {"i7", "i8"}}, {"history.age", {5, 100}}};
  const std::vector<UserEvent> events{{"i1", moment_ + 5 * kSecond, true},
                                      {"i9", moment_ + 12 * kSecond, true, 2}};
  const RawUser now = user_after(bundle_, "u2", history, events, moment_ + 20 * kSecond);
  EXPECT_THAT(ids(now, "history"), ElementsAre(10, 8, 9)) << "i1 is in the stored history's time";
  EXPECT_THAT(ids(now, "history.age"), ElementsAre(4, 5, 7));  // 8, 5 + 10 and 100 + 10 seconds
  EXPECT_THAT(ids(now, "items"), ElementsAre(10)) << "all sequences of the clicks are the store's";
  EXPECT_EQ(ids(now, "liked"), ids(own, "liked"));
  const Json older{{"moment", moment_ - 1}, {"history", {"i7", "i8"}}, {"segment", "b"}};
  EXPECT_EQ(ids(user_after(bundle_, "u2", older, {}, moment_), "history"), ids(own, "history"));
  EXPECT_THAT(
      [&] {
        user_after(bundle_, "u2", {{"segment", 1.5}}, {}, moment_);
      },
      ThrowsMessage<DataError>(HasSubstr("'segment' holds 1.5")));
}

TEST_F(UserEvents, WhatARequestGivesStandsOverAll) {
  const Json stored{{"moment", moment_ - 1},
                    {"segment", "b"}};  // older than the bundle: left aside
  const std::vector<UserEvent> events{{"i1", moment_ + 1, true, 5}, {"i2", moment_ + 2, true}};
  const int64_t now = moment_ + 10;
  const RawUser own = user_after(bundle_, "u2", nullptr, events, now);
  const RawUser got = user_after(bundle_, "u2", stored, events, now, {},
                                 {{"segment", "c"}, {"device", "desk"}, {"hour", 4}});
  EXPECT_THAT(ids(got, "segment"), ElementsAre(3));
  EXPECT_THAT(ids(got, "device"), ElementsAre(2));
  EXPECT_THAT(ids(got, "hour"), ElementsAre(5));
  for (const char* same : {"user_id", "weekday", "history", "history.age", "items", "liked"})
    EXPECT_EQ(ids(got, same), ids(own, same)) << same;
  const RawUser told = user_after(bundle_, "u2", nullptr, events, now, {}, {{"history", {"i7"}}});
  EXPECT_THAT(ids(told, "history"), ElementsAre(8));
  EXPECT_EQ(ids(told, "liked"), ids(own, "liked"));
  EXPECT_THAT(
      [&] {
        user_after(bundle_, "u2", stored, {}, now, {}, {{"segmnt", "c"}});
      },
      ThrowsMessage<DataError>(HasSubstr("did you mean 'segment'?")));
}

}  // namespace
}  // namespace retort
