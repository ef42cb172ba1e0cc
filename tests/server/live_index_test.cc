// Oracles: naive towers on the described items' features, plain maps of what was put and erased.
#include "retort/server/live_index.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "tests/bundle/tiny_bundle.h"
#include "tests/encoder/spelt_out.h"
#include "tests/support/soak.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/rng.h"
#include "retort/common/text.h"

namespace retort {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::ThrowsMessage;
using testing::UnorderedElementsAre;

constexpr int64_t kSecond = 1'000'000;

/// A bundle, opened with its tower.
struct Served {
  explicit Served(const fs::path& folder)
      : bundle(folder), encoder(bundle.spec(), bundle.weights()) {}
  const Bundle bundle;
  const TowerEncoder encoder;
};

class LiveIndexTest : public testing::Test {
 protected:
  LiveIndexTest()
      : tiny_(random_tiny_dataset(3), 0.5),
        served_(tiny_.publish().path),
        created_(parse_moment(served_.bundle.manifest()["created"].get<std::string>(), "")) {
    now_ = created_ + 10 * kSecond;
  }

  LiveItems::Options options() {
    return {.clock = [this] { return now_.load(); }};
  }
  Json features(int32_t item) const {
    Json json = spelt_out_item(tiny_.data, item, served_.bundle.moment());
    json.erase("item_id");
    return json;
  }
  LiveItem item(const std::string& id, int32_t like, int64_t expires = kNever) const {
    return {id, features(like), expires};
  }
  /// Of the naive towers, for an item of this id and these features.
  double score(const std::string& id, const Json& features) const {
    const RawItem raw = raw_item(served_.bundle, id, features, now_);
    std::vector<float> vector(5);
    tiny_.towers.encode_items(raw.features, vector);
    double sum = query_[5] * popularity_of(served_.bundle, features.value("popularity_clicks", 0));
    for (size_t d = 0; d < 5; ++d) sum += query_[d] * vector[d];
    return sum;
  }
  std::vector<std::string> ids(const LiveIndex& index, int32_t k = 1000,
                               const std::string& where = "",
                               const std::vector<std::string>& exclude = {}) const {
    std::vector<std::string> ids;
    for (const ItemOverlay::Hit& hit : index.search(query_, k, where, exclude))
      ids.push_back(hit.id);
    return ids;
  }
  std::vector<int32_t> hidden(const LiveIndex& index, const Bundle& bundle) const {
    ItemFilter filter;
    index.hide(filter);
    std::vector<int32_t> items;
    for (int32_t i = 0; i < bundle.items(); ++i)
      if (!filter.allows(i)) items.push_back(i);
    return items;
  }
  std::vector<int32_t> hidden(const LiveIndex& index) const {
    return hidden(index, served_.bundle);
  }

  const TinyPublication tiny_;
  const Served served_;
  const int64_t created_;
  std::atomic<int64_t> now_;
  const std::vector<float> query_{0.7f, -1.1f, 0.4f, 0.9f, -0.2f, 1.0f};
};

TEST_F(LiveIndexTest, PutItemsAreFoundWithTheScoreOfTheTower) {
  LiveItems items("", options());
  const LiveIndex index(served_.bundle, served_.encoder, items);
  EXPECT_THAT(ids(index), IsEmpty());
  std::map<std::string, double> expected;
  for (int32_t i = 0; i < 20; ++i) {
    const LiveItem fresh = item(fmt::format("new{}", i), i);
    items.put(fresh);
    expected[fresh.id] = score(fresh.id, fresh.features);
  }
  for (const int32_t k : {1, 7, 100}) {
    const auto hits = index.search(query_, k, "", {});
    ASSERT_EQ(hits.size(), std::min<size_t>(20, static_cast<size_t>(k)));
    std::vector<double> scores;
    for (const auto& [id, value] : expected) scores.push_back(value);
    std::sort(scores.begin(), scores.end(), std::greater<>());
    for (size_t i = 0; i < hits.size(); ++i) {
      EXPECT_NEAR(hits[i].score, scores[i], 1e-4);
      EXPECT_NEAR(hits[i].score, expected.at(hits[i].id), 1e-4);
    }
  }
  EXPECT_THAT(hidden(index), IsEmpty());
  EXPECT_EQ(index.counts().items, 20);
}

TEST_F(LiveIndexTest, FiltersAndExclusionsHold) {
  LiveItems items("", options());
  const LiveIndex index(served_.bundle, served_.encoder, items);
  EXPECT_THROW(ids(index, 5, "categry = 'x'"), ConfigError);
  const std::vector<LiveItem> three{{"a", {{"category", "sport"}, {"tags", {"t1", "t2"}}}},
                                    {"b", {{"category", "news"}, {"tags", {"t2"}}}},
                                    {"c", {{"category", "brand new"}}}};
  items.put(three);
  EXPECT_THAT(ids(index, 9, "category = 'sport'"), ElementsAre("a"));
  EXPECT_THAT(ids(index, 9, "tags = 't2'"), UnorderedElementsAre("a", "b"));
  EXPECT_THAT(ids(index, 9, "category = 'brand new'"), ElementsAre("c"));
  EXPECT_THAT(ids(index, 9, "not tags in ('t1', 't2')"), ElementsAre("c"));
  EXPECT_THAT(ids(index, 9, "tags = 't2'", {"a", "zz"}), ElementsAre("b"));
  const std::vector<std::string> all = ids(index);
  EXPECT_THAT(ids(index, 1, "", {all[0], all[1]}), ElementsAre(all[2]));
  EXPECT_THROW(ids(index, 5, "categry = 'x'"), ConfigError);
  EXPECT_THROW(index.search(std::vector<float>(3), 5, "", {}), ArgumentError);
}

TEST_F(LiveIndexTest, ExpiredItemsVanishByTheClock) {
  LiveItems items("", options());
  const LiveIndex index(served_.bundle, served_.encoder, items);
  items.put(item("short", 1, now_ + kSecond));
  items.put(item("long", 2, now_ + 60 * kSecond));
  items.put(item("i5", 5, now_ + kSecond));  // an item of the bundle: gone with its expiry
  items.put(item("past", 3, now_ - 1));
  EXPECT_THAT(ids(index), UnorderedElementsAre("short", "long", "i5"));
  now_ += kSecond - 1;
  EXPECT_THAT(ids(index), UnorderedElementsAre("short", "long", "i5"));
  now_ += 1;
  EXPECT_THAT(ids(index), ElementsAre("long"));
  EXPECT_THAT(hidden(index), ElementsAre(5));
  items.put(item("next", 4));
  EXPECT_EQ(index.counts().items, 2) << "expired ones leave with the next change";
  items.put(item("short", 1));
  EXPECT_THAT(ids(index), UnorderedElementsAre("long", "next", "short"));
}

TEST_F(LiveIndexTest, AnItemOfTheBundleIsReplacedAndDeleted) {
  LiveItems items("", options());
  const LiveIndex index(served_.bundle, served_.encoder, items);
  items.put(item("i7", 2));
  EXPECT_THAT(ids(index), ElementsAre("i7"));
  EXPECT_THAT(hidden(index), ElementsAre(7));
  EXPECT_NEAR(index.search(query_, 1, "", {})[0].score, score("i7", features(2)), 1e-4);
  const std::vector<std::string> gone{"i7", "i8", "never there", "i8"};
  EXPECT_THAT(items.erase(gone), ElementsAre(true, true, false, true));
  EXPECT_THAT(items.erase(gone), ElementsAre(false, false, false, false));
  EXPECT_THAT(ids(index), IsEmpty());
  EXPECT_THAT(hidden(index), ElementsAre(7, 8));
  ItemFilter some = ItemFilter::none(20);
  for (const int32_t allowed : {3, 7}) some.allow(allowed);
  index.hide(some);
  EXPECT_TRUE(some.allows(3));
  EXPECT_EQ(some.count(20), 1);
  items.put(item("i8", 8));
  EXPECT_THAT(ids(index), ElementsAre("i8"));
  EXPECT_THAT(hidden(index), ElementsAre(7, 8));
}

TEST_F(LiveIndexTest, TheLaterOfPutAndBundleWinsAndExpiryAndDeletionOutliveBoth) {
  LiveItems items("", options());
  now_ = created_ - 10 * kSecond;  // before the bundle was made
  items.put(item("i1", 1));
  items.put(item("i2", 2, created_ + 60 * kSecond));
  items.put(item("new", 3));
  const std::vector<std::string> gone{"i4"};
  items.erase(gone);
  now_ = created_ + 10 * kSecond;
  const LiveIndex index(served_.bundle, served_.encoder, items);
  EXPECT_THAT(ids(index), ElementsAre("new")) << "the bundle's own rows are the later ones";
  EXPECT_THAT(hidden(index), ElementsAre(4));
  items.put(item("i1", 5));
  EXPECT_THAT(ids(index), UnorderedElementsAre("new", "i1"));
  EXPECT_THAT(hidden(index), ElementsAre(1, 4));
  now_ = created_ + 60 * kSecond;
  EXPECT_THAT(hidden(index), ElementsAre(1, 2, 4));
  EXPECT_EQ(index.counts().hidden, 3);
}

TEST_F(LiveIndexTest, EverythingSurvivesARestart) {
  const ScratchFolder scratch;
  std::vector<ItemOverlay::Hit> before;
  {
    LiveItems items(scratch / "live", options());
    const LiveIndex index(served_.bundle, served_.encoder, items);
    for (int32_t i = 0; i < 20; ++i) items.put(item(fmt::format("new{}", i), i));
    items.put(item("i3", 3));
    const std::vector<std::string> gone{"new4", "i9"};
    items.erase(gone);
    items.put(item("brief", 3, now_ + kSecond));
    before = index.search(query_, 100, "", {});
    ASSERT_EQ(before.size(), 21u);
  }
  LiveItems items(scratch / "live", options());
  const LiveIndex index(served_.bundle, served_.encoder, items);
  const auto after = index.search(query_, 100, "", {});
  ASSERT_EQ(after.size(), before.size());
  std::map<std::string, float> scores;
  for (const auto& hit : before) scores[hit.id] = hit.score;
  for (const auto& hit : after) EXPECT_NEAR(hit.score, scores.at(hit.id), 1e-5);
  EXPECT_THAT(hidden(index), ElementsAre(3, 9));
  now_ += kSecond;
  EXPECT_EQ(ids(index).size(), 20u);
}

TEST_F(LiveIndexTest, ASwapBringsThemToTheNextBundleAndChangesReachBoth) {
  LiveItems items("", options());
  items.put(item("early", 1));
  auto old_index = std::make_unique<LiveIndex>(served_.bundle, served_.encoder, items);
  const TinyPublication other(random_tiny_dataset(11, 12, 30));
  const Served next(other.publish().path);
  const std::vector<float> query(query_.begin(), query_.begin() + next.bundle.vector_dim());
  const LiveIndex index(next.bundle, next.encoder, items);
  const auto found = [&] { return index.search(query, 100, "", {}).size(); };
  EXPECT_EQ(found(), 1u);
  items.put(item("i25", 2));  // an item of the second bundle alone
  EXPECT_THAT(ids(*old_index), UnorderedElementsAre("early", "i25"));
  EXPECT_THAT(hidden(*old_index), IsEmpty());
  EXPECT_THAT(hidden(index, next.bundle), ElementsAre(25));
  old_index.reset();
  items.put(item("late", 3));
  EXPECT_EQ(found(), 3u);
}

TEST_F(LiveIndexTest, WhatANewSchemaCannotReadIsLeftOutCountedAndTheRestServes) {
  LiveItems items("", options());
  {
    const LiveIndex index(served_.bundle, served_.encoder, items);
    items.put({"plain", {{"category", "news"}, {"clicks_1h", 3}}});
    items.put({"texts", {{"category", "news"}, {"tags", {"t1"}}}});
  }
  TinyDataset data = random_tiny_dataset(3);
  std::erase_if(data.schema.features,
                [](const FeatureSpec& spec) { return spec.name == "clicks_1h"; });
  for (FeatureSpec& spec : data.schema.features)
    if (spec.name == "tags") spec.name = "labels";  // a number now goes by the name of the bag
  for (FeatureSpec& spec : data.schema.features)
    if (spec.name == "length") spec.name = "tags";
  data.ids["item.labels"] = data.ids["item.tags"];
  data.offsets["item.labels"] = data.offsets["item.tags"];
  data.values["item.tags"] = data.values["item.length"];
  data.ids.erase("item.tags");
  data.offsets.erase("item.tags");
  const TinyPublication other(data);
  const Served next(other.publish().path);
  const LiveIndex index(next.bundle, next.encoder, items);
  const auto hits = index.search(std::span(query_).first(5), 10, "", {});
  ASSERT_EQ(hits.size(), 1u);
  EXPECT_EQ(hits[0].id, "plain");
  EXPECT_EQ(index.counts().rejected, 1);
  items.put({"texts", {{"tags", 12}}});
  EXPECT_EQ(index.counts().rejected, 0);
  // While both are there: what one of them reads is taken, and found by those that can read it.
  const LiveIndex old_index(served_.bundle, served_.encoder, items);
  EXPECT_EQ(old_index.counts().rejected, 1);
  items.put({"both", {{"clicks_1h", 3}}});
  items.put({"old only", {{"tags", {"t1"}}}});
  EXPECT_THAT(ids(old_index), UnorderedElementsAre("plain", "both", "old only"));
  EXPECT_EQ(index.search(std::span(query_).first(5), 10, "", {}).size(), 3u);
  EXPECT_THROW(items.put({"neither", {{"tags", "t1"}}}), DataError);
}

TEST_F(LiveIndexTest, WrongFeaturesAreRefusedAndNothingOfTheBulkIsKept) {
  LiveItems items("", options());
  const LiveIndex index(served_.bundle, served_.encoder, items);
  const std::vector<LiveItem> bulk{item("good", 1), {"bad", {{"categry", "news"}}}};
  EXPECT_THAT([&] { items.put(bulk); },
              ThrowsMessage<DataError>(HasSubstr("item 'bad': features: 'categry'")));
  EXPECT_THAT(
      [&] {
        items.put({"huge", {{"length", 1e300}}});
      },
      ThrowsMessage<DataError>(HasSubstr("its vector is not finite")));
  EXPECT_THROW(items.put({"", Json::object()}), DataError);
  EXPECT_THROW(items.put({std::string(401, 'x'), Json::object()}), DataError);
  EXPECT_THROW(items.put({"list", Json::array()}), DataError);
  EXPECT_EQ(items.size(), 0);
  EXPECT_THAT(ids(index), IsEmpty());
}

TEST_F(LiveIndexTest, RandomChangesEqualABruteForceOverManyBlocks) {
  LiveItems items("", options());
  const LiveIndex index(served_.bundle, served_.encoder, items);
  std::map<std::string, std::pair<double, int64_t>> expected;  // score, expiry
  const Rng rng(21, "changes");
  uint64_t draw = 0;
  const auto below = [&](uint64_t n) { return static_cast<int32_t>(rng.below(n, draw++)); };
  std::vector<double> score_of;
  for (int32_t like = 0; like < 20; ++like) score_of.push_back(score("x", features(like)));
  for (int round = 0; round < 60; ++round) {
    std::vector<LiveItem> bulk;
    for (int i = below(60); i >= 0; --i) {
      const int32_t like = below(20);
      const int64_t expires = below(3) == 0 ? now_ + below(20) * kSecond : kNever;
      bulk.push_back(item(fmt::format("x{}", below(1500)), like, expires));
      expected[bulk.back().id] = {score_of[static_cast<size_t>(like)], expires};
    }
    items.put(bulk);
    std::vector<std::string> gone;
    for (int i = below(30); i >= 0; --i) gone.push_back(fmt::format("x{}", below(1500)));
    items.erase(gone);
    for (const std::string& id : gone) expected.erase(id);
    now_ += kSecond;
    std::erase_if(expected, [&](const auto& entry) { return entry.second.second <= now_; });
    std::vector<double> scores;
    for (const auto& [id, entry] : expected) scores.push_back(entry.first);
    std::sort(scores.begin(), scores.end(), std::greater<>());
    const auto hits = index.search(query_, 2000, "", {});
    ASSERT_EQ(hits.size(), scores.size()) << "round " << round;
    for (size_t i = 0; i < hits.size(); ++i) {
      ASSERT_NEAR(hits[i].score, scores[i], 1e-4);
      ASSERT_NEAR(hits[i].score, expected.at(hits[i].id).first, 1e-4);
    }
  }
  EXPECT_GT(expected.size(), 500u);
}

TEST_F(LiveIndexTest, ReadersSeeEachChangeWholeWhileAWriterWrites) {
  LiveItems items("", options());
  const LiveIndex index(served_.bundle, served_.encoder, items);
  std::vector<LiveItem> pair{item("a", 1), item("b", 2)};
  for (int i = 0; i < 300; ++i) items.put(item(fmt::format("x{}", i), i % 20));
  const std::vector<std::string> both{"a", "b"};
  std::atomic<bool> done = false;
  std::atomic<int> halves = 0, searches = 0;
  std::vector<std::thread> readers;
  for (int r = 0; r < 3; ++r)
    readers.emplace_back([&] {
      while (!done) {
        const auto hits = index.search(query_, 1000, "", {});
        int seen = 0;
        for (const auto& hit : hits) seen += hit.id == "a" || hit.id == "b" ? 1 : 0;
        halves += seen == 1 ? 1 : 0;
        ItemFilter filter;
        index.hide(filter);
        ++searches;
      }
    });
  for (int i = 0; i < soak(100) || searches < 50; ++i) {
    items.put(pair);
    items.put(item(fmt::format("i{}", i % 20), i % 20));
    items.erase(both);
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(halves, 0);
}

TEST_F(LiveIndexTest, NoChangeIsLostWhileIndexesComeGoAndRefresh) {
  LiveItems items("", options());
  for (int i = 0; i < 100; ++i) items.put(item(fmt::format("x{}", i), i % 20));
  const LiveIndex lasting(served_.bundle, served_.encoder, items);
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (int i = 0; i < soak(150); ++i) {
      items.put(item(fmt::format("y{}", i), i % 20));
      const std::vector<std::string> gone{fmt::format("x{}", i % 100)};
      items.erase(gone);
      items.put(item(fmt::format("x{}", (i * 7) % 100), (i + 3) % 20));
    }
    done = true;
  });
  std::unique_ptr<LiveIndex> coming;
  std::thread refresher([&] {
    while (!done) const_cast<LiveIndex&>(lasting).refresh();
  });
  while (!done) coming = std::make_unique<LiveIndex>(served_.bundle, served_.encoder, items);
  writer.join();
  refresher.join();
  const LiveIndex fresh(served_.bundle, served_.encoder, items);
  const auto by_id = [&](const LiveIndex& index) {
    std::map<std::string, float> scores;
    for (const auto& hit : index.search(query_, 100'000, "", {})) scores[hit.id] = hit.score;
    return scores;
  };
  EXPECT_EQ(by_id(lasting), by_id(fresh));
  EXPECT_EQ(by_id(*coming), by_id(fresh));
}

TEST_F(LiveIndexTest, RefreshLetsAgesGrow) {
  LiveItems items("", options());
  LiveIndex index(served_.bundle, served_.encoder, items);
  const Json features{{"category", "news"}, {"published", now_ - kSecond}};
  items.put({"fresh", features});
  const float young = index.search(query_, 1, "", {})[0].score;
  EXPECT_NEAR(young, score("fresh", features), 1e-4);
  now_ += 100'000 * kSecond;
  EXPECT_EQ(index.search(query_, 1, "", {})[0].score, young);
  index.refresh();
  const float old = index.search(query_, 1, "", {})[0].score;
  EXPECT_NE(old, young);
  EXPECT_NEAR(old, score("fresh", features), 1e-4);
}

}  // namespace
}  // namespace retort
