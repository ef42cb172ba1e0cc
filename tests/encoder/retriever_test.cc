// Oracle: naive towers, every item scored in double, sorted, filters applied by hand.
#include "retort/encoder/retriever.h"

#include <algorithm>
#include <functional>
#include <set>

#include "tests/bundle/tiny_bundle.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/dataset/assembler.h"
#include "retort/metric/catalogue.h"

namespace retort {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

using Allowed = std::function<bool(int32_t item)>;

/// Items by score, best first, with their scores.
std::vector<std::pair<double, int32_t>> ranked(const TinyPublication& tiny, int32_t user,
                                               const Allowed& allowed) {
  const int64_t end = tiny.dataset.end_time();
  const int32_t items = tiny.data.items;
  const UserMoment row{user, end};
  std::vector<ItemMoment> rows;
  for (int32_t item = 0; item < items; ++item) rows.push_back({item, end});
  SideBatch users, all;
  const Assembler assembler(tiny.dataset);
  assembler.users(std::span(&row, 1), users);
  assembler.items(rows, all);
  std::vector<float> query(5), vectors(static_cast<size_t>(items) * 5);
  tiny.towers.encode_users(users, query);
  tiny.towers.encode_items(all, vectors);
  const std::vector<float> log_q = log_share(tiny.dataset.train_clicks());
  std::vector<std::pair<double, int32_t>> scored;
  for (int32_t item = 0; item < items; ++item) {
    if (!allowed(item)) continue;
    double score = tiny.spec.beta * log_q[static_cast<size_t>(item)];
    for (size_t d = 0; d < 5; ++d) score += query[d] * vectors[static_cast<size_t>(item) * 5 + d];
    scored.emplace_back(score, item);
  }
  std::sort(scored.begin(), scored.end(),
            [](const auto& a, const auto& b) { return a.first > b.first; });
  return scored;
}

void expect_equal(const Retrieval& got, const std::vector<std::pair<double, int32_t>>& expected,
                  size_t k) {
  ASSERT_EQ(got.items.size(), std::min(k, expected.size()));
  for (size_t i = 0; i < got.items.size(); ++i) {
    EXPECT_NEAR(got.items[i].score, expected[i].first, 1e-4);
    EXPECT_EQ(got.items[i].id, fmt::format("i{}", expected[i].second)) << "rank " << i;
  }
}

bool any(int32_t) { return true; }

class Retrieve : public testing::TestWithParam<const char*> {
 protected:
  Retrieve() : tiny_(random_tiny_dataset(8, 12, 60, 400), 0.5) {
    BundleContents contents = tiny_.contents();
    contents.index = {{"name", GetParam()}};
    bundle_ = std::make_unique<Bundle>(publish_bundle(contents, tiny_.bundles()).path);
    retriever_ = std::make_unique<Retriever>(*bundle_);
  }
  std::set<int32_t> seen(int32_t user) const {
    std::set<int32_t> items;
    for (const TinyClick& click : tiny_.data.clicks)
      if (click.user == user) items.insert(click.item);
    return items;
  }
  int32_t category(int32_t item) const {
    return tiny_.data.ids.at("item.category")[static_cast<size_t>(item)];
  }
  const TinyPublication tiny_;
  std::unique_ptr<Bundle> bundle_;
  std::unique_ptr<Retriever> retriever_;
};
INSTANTIATE_TEST_SUITE_P(Indexes, Retrieve, testing::Values("exact", "hnsw"));

TEST_P(Retrieve, EqualsBruteForceWithPopularityForEveryUser) {
  for (int32_t user = 0; user < 12; ++user)
    for (const int32_t k : {1, 10, 1000})
      expect_equal(retriever_->retrieve(fmt::format("u{}", user), {.k = k}),
                   ranked(tiny_, user, any), static_cast<size_t>(k));
}

TEST_P(Retrieve, FiltersHoldInsideAndKComeBackWhereKExist) {
  for (int32_t user = 0; user < 12; ++user) {
    const std::string key = fmt::format("u{}", user);
    const std::set<int32_t> old = seen(user);
    const auto unseen = [&](int32_t item) { return !old.contains(item); };
    ASSERT_GT(old.size(), 5u);
    expect_equal(retriever_->retrieve(key, {.k = 20, .exclude_seen = true}),
                 ranked(tiny_, user, unseen), 20);
    expect_equal(retriever_->retrieve(key, {.k = 8, .where = "category = 'sport'"}),
                 ranked(tiny_, user, [&](int32_t item) { return category(item) == 2; }), 8);
    expect_equal(retriever_->retrieve(key, {.k = 100,
                                            .exclude_seen = true,
                                            .where = "not category in ('sport', 'food')",
                                            .exclude = {"i7", "i59", "no such item"}}),
                 ranked(tiny_, user,
                        [&](int32_t item) {
                          return unseen(item) && category(item) != 2 && category(item) != 4 &&
                                 item != 7 && item != 59;
                        }),
                 100);
  }
}

TEST_P(Retrieve, AUserOutsideTheLogIsDescribedByFeatures) {
  const Json features{{"user_id", "u3"}, {"history", {"i1", "i5"}}, {"hour", 7}};
  const Retrieval got = retriever_->retrieve(features, {.k = 60, .exclude_seen = true});
  EXPECT_EQ(got.items.size(), 58u);
  for (const Retrieval::Item& item : got.items) EXPECT_TRUE(item.id != "i1" && item.id != "i5");
  EXPECT_NE(retriever_->retrieve(features, {.k = 1}).items[0].score,
            retriever_->retrieve(Json::object(), {.k = 1}).items[0].score);
  EXPECT_THAT([&] { retriever_->retrieve("u12", {}); },
              ThrowsMessage<DataError>(HasSubstr("user 'u12' is not in")));
  EXPECT_THAT([&] { retriever_->retrieve("u12", {}); },
              ThrowsMessage<DataError>(HasSubstr("--features")));
}

TEST_P(Retrieve, WrongRequestsAreRefused) {
  EXPECT_THROW(retriever_->retrieve("u1", {.k = 0}), ConfigError);
  EXPECT_THAT([&] { retriever_->retrieve("u1", {.where = "categry = 3"}); },
              ThrowsMessage<ConfigError>(HasSubstr("did you mean 'category'?")));
  EXPECT_THAT([&] { retriever_->retrieve("u1", {.fusion = 0.5}); },
              ThrowsMessage<ConfigError>(HasSubstr("the model has one task")));
}

TEST_P(Retrieve, AnswersAsJson) {
  const Json json = to_json(retriever_->retrieve("u1", {.k = 2}));
  EXPECT_EQ(json["version"], 1);
  ASSERT_EQ(json["items"].size(), 2u);
  EXPECT_TRUE(json["items"][0]["id"].is_string());
  EXPECT_GE(json["items"][0]["score"].get<double>(), json["items"][1]["score"].get<double>());
}

TEST(RetrieveAlive, ItemsAliveComeFirstAndOthersFillUp) {
  TinyDataset data = random_tiny_dataset(9, 12, 60, 400);
  data.protocol.alive_window = 7'200'000'000;
  const TinyPublication tiny(data);
  const Bundle bundle(tiny.publish().path);
  const Retriever retriever(bundle);
  const auto alive = [&](int32_t item) { return bundle.alive().allows(item); };
  const auto living = ranked(tiny, 0, alive);
  ASSERT_GT(living.size(), 2u);
  ASSERT_LT(living.size(), 40u);
  expect_equal(retriever.retrieve("u0", {.k = 3}), living, 3);
  expect_equal(retriever.retrieve("u0", {.k = 3, .prefer_alive = false}), ranked(tiny, 0, any), 3);
  const Retrieval filled = retriever.retrieve("u0", {.k = 45});
  EXPECT_EQ(filled.items.size(), 45u);
  std::set<std::string> ids;
  for (const Retrieval::Item& item : filled.items) ids.insert(item.id);
  EXPECT_EQ(ids.size(), 45u);
  for (const auto& [score, item] : living) EXPECT_TRUE(ids.contains(fmt::format("i{}", item)));
  expect_equal(retriever.retrieve("u0", {.k = 60}), ranked(tiny, 0, any), 60);
}

TEST(RetrieveCandidates, OthersAreNeverFound) {
  TinyDataset data = random_tiny_dataset(9, 12, 60, 400);
  data.protocol.alive_window = 7'200'000'000;
  for (int32_t item = 0; item < 60; ++item) data.candidates.push_back(item % 4 == 1 ? 1 : 0);
  const TinyPublication tiny(data);
  const Bundle bundle(tiny.publish().path);
  const Retriever retriever(bundle);
  const auto candidate = [](int32_t item) { return item % 4 == 1; };
  for (int32_t user = 0; user < 12; ++user) {
    const std::string key = fmt::format("u{}", user);
    expect_equal(retriever.retrieve(key, {.k = 60}), ranked(tiny, user, candidate), 60);
    expect_equal(retriever.retrieve(key, {.k = 5, .exclude = {"i1"}, .prefer_alive = false}),
                 ranked(tiny, user, [&](int32_t item) { return candidate(item) && item != 1; }), 5);
  }
}

TEST(VectorSources, GiveTheVectorsOfUsersAndItemsInOrder) {
  const TinyPublication tiny(random_tiny_dataset(8), 0.5);
  const Bundle bundle(tiny.publish().path);
  const Retriever retriever(bundle);
  const VectorSource users = user_vectors(bundle, retriever), items = item_vectors(bundle);
  ASSERT_EQ(users.dim, 6);
  std::vector<float> some(3 * 6), all(20 * 6);
  users.fill(4, 7, some);
  items.fill(0, 20, all);
  EXPECT_TRUE(std::ranges::equal(all, bundle.item_vectors()));
  const Retrieval best = retriever.retrieve("u5", {.k = 1});
  double top = -1e9;
  for (size_t item = 0; item < 20; ++item) {
    double score = 0;
    for (size_t d = 0; d < 6; ++d) score += some[6 + d] * all[item * 6 + d];
    top = std::max(top, score);
  }
  EXPECT_NEAR(best.items[0].score, top, 1e-5);
  EXPECT_EQ(some[5], 1);
}

}  // namespace
}  // namespace retort
