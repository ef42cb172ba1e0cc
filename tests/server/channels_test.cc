// Channels: how lists become one by quotas, and what the running server gives of each.
#include "retort/server/channels.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "tests/server/running_server.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace retort {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<Retrieval::Item> lettered(const std::string& ids) {
  std::vector<Retrieval::Item> list;
  for (const char id : ids) list.push_back({std::string(1, id), 1});
  return list;
}

ChannelQuotas quota_parts(double personal, double similar, double popular) {
  return {.parts = {personal, similar, popular}, .asked = true};
}

std::string letters_of(const std::vector<Candidate>& candidates) {
  std::string ids;
  for (const Candidate& candidate : candidates) ids += candidate.id;
  return ids;
}

TEST(Channels, PlacesAreKeptOrScaledByLargestRemainders) {
  EXPECT_THAT(quota_parts(60, 15, 25).places(100), ElementsAre(60, 15, 25));
  EXPECT_THAT(quota_parts(60, 15, 25).places(20), ElementsAre(12, 3, 5));
  EXPECT_THAT(quota_parts(60, 15, 25).places(10), ElementsAre(6, 2, 2));
  EXPECT_THAT(quota_parts(1, 1, 1).places(10), ElementsAre(4, 3, 3));
  EXPECT_THAT(quota_parts(0, 0, 7).places(3), ElementsAre(0, 0, 3));
  EXPECT_THAT(quota_parts(0.5, 0, 0.5).places(1), ElementsAre(1, 0, 0));
}

TEST(Channels, TakeTurnsSoThatEveryBeginHasItsShares) {
  const auto merged = merge_channels({lettered("abcdefghij"), lettered("ABCDE"), lettered("12345")},
                                     quota_parts(4, 2, 2), 8);
  EXPECT_EQ(letters_of(merged), "aA1bcB2d");
}

TEST(Channels, AnItemStandsOnceAndNamesWhoFoundIt) {
  const auto merged =
      merge_channels({lettered("abc"), lettered("abd"), lettered("")}, quota_parts(2, 2, 0), 4);
  EXPECT_EQ(letters_of(merged), "abcd");
  EXPECT_EQ(merged[0].channel, Channel::kPersonal);
  EXPECT_EQ(merged[0].found_by, 3);
  EXPECT_EQ(merged[1].channel, Channel::kSimilar) << "its best is taken, so its next";
  EXPECT_EQ(merged[3].found_by, 2);
}

TEST(Channels, WhatOneCannotGiveComesFromThePersonalListLast) {
  std::array<int32_t, kChannels> short_of{};
  const auto merged = merge_channels({lettered("abcdef"), lettered("A"), lettered("1")},
                                     quota_parts(2, 3, 1), 6, &short_of);
  EXPECT_EQ(letters_of(merged), "Aa1bcd");
  EXPECT_THAT(short_of, ElementsAre(0, 2, 0));
  EXPECT_EQ(
      letters_of(merge_channels({lettered("ab"), {}, lettered("1")}, quota_parts(0, 0, 1), 9)),
      "1ab");
  EXPECT_EQ(letters_of(merge_channels({}, quota_parts(1, 1, 1), 9)), "");
}

class ChannelServer : public testing::Test {
 protected:
  ChannelServer()
      : tiny_(random_tiny_dataset(3)), bundle_(tiny_.publish().path), server_(options()) {}
  ServerOptions options() const {
    ServerOptions options = RunningServer::of(tiny_.bundles());
    options.users = "lmdb:" + (tiny_.scratch / "users").string();
    return options;
  }
  std::string user(int32_t row) const { return std::string(bundle_.user_keys()[row]); }
  std::string item(int32_t row) const { return std::string(bundle_.item_keys()[row]); }
  Json retrieve(const Json& body, int status = 200) const {
    const RawAnswer answer = server_.ask("POST", "/v1/retrieve", body.dump());
    EXPECT_EQ(answer.status, status) << body << answer.body;
    return answer.json();
  }
  void click(const std::string& by, const std::string& item) const {
    EXPECT_EQ(
        server_.ask("POST", "/v1/users/" + by + "/events", Json{{"item", item}}.dump()).status,
        202);
  }
  /// Rankings are made anew once a second.
  static void let_clicks_count() { std::this_thread::sleep_for(std::chrono::milliseconds(1100)); }
  static std::vector<std::string> ids(const Json& answer) {
    std::vector<std::string> ids;
    for (const Json& hit : answer.at("items")) ids.push_back(hit["id"]);
    return ids;
  }
  const Json kPopular{{"popular", 1}};

  TinyPublication tiny_;
  Bundle bundle_;
  RunningServer server_;
};

TEST_F(ChannelServer, PopularIsWhatIsClickedAndBeforeThatWhatTheBundleKnows) {
  // Before any click: by the users who have seen the item.
  std::vector<int32_t> seen(static_cast<size_t>(bundle_.items()));
  for (int32_t u = 0; u < bundle_.users(); ++u)
    for (const int32_t i : bundle_.seen_items(u)) ++seen[static_cast<size_t>(i)];
  const auto most = [&](const std::string& id) {
    return seen[static_cast<size_t>(*bundle_.find_item(id))];
  };
  const Json body{{"user", user(0)}, {"k", 6}, {"channels", kPopular}, {"all_items", true}};
  const auto before = ids(retrieve(body));
  ASSERT_EQ(before.size(), 6u);
  for (size_t i = 1; i < before.size(); ++i)
    if (bundle_.alive().allows(*bundle_.find_item(before[i - 1])) ==
        bundle_.alive().allows(*bundle_.find_item(before[i]))) {
      EXPECT_GE(most(before[i - 1]), most(before[i]));
    }

  ASSERT_EQ(server_.ask("PUT", "/v1/items/live", "{}").status, 200);
  const std::string last = before.back(), other = before[4];
  for (int i = 0; i < 3; ++i) click("u" + std::to_string(i), last);
  for (int i = 0; i < 2; ++i) click("u" + std::to_string(i), "live");
  click("u1", other);
  click("u1", "never heard of");
  let_clicks_count();
  const Json answer = retrieve(body);
  EXPECT_THAT((std::vector<std::string>{ids(answer)[0], ids(answer)[1], ids(answer)[2]}),
              ElementsAre(last, "live", other));
  EXPECT_EQ(answer["items"][0]["score"], 3);
  EXPECT_EQ(answer["items"][0]["channels"][0], "popular");
  EXPECT_EQ(answer["items"][3]["score"], 0);

  // What filters, exclusions and deletions forbid is forbidden here too.
  Json narrow = body;
  narrow["exclude"] = {last};
  EXPECT_EQ(ids(retrieve(narrow))[0], "live");
  ASSERT_EQ(server_.ask("DELETE", "/v1/items/live").status, 200);
  EXPECT_EQ(ids(retrieve(narrow))[0], other);
  ASSERT_EQ(server_.ask("DELETE", "/v1/items/" + other).status, 200);
  EXPECT_THAT(ids(retrieve(narrow)), testing::Not(testing::Contains(other)));
  narrow = body;
  narrow["exclude_seen"] = true;
  narrow["user"] = "u0";
  EXPECT_THAT(ids(retrieve(narrow)), testing::Not(testing::Contains(last)));

  // A new version keeps the counts.
  tiny_.publish();
  ASSERT_TRUE(server_.serves(2));
  EXPECT_EQ(ids(retrieve(body))[0], last);
  EXPECT_EQ(ids(retrieve({{"channels", kPopular}, {"k", 1}}))[0], last) << "nobody in particular";
  EXPECT_EQ(ids(retrieve({{"user", "nobody"}, {"channels", kPopular}, {"k", 1}}))[0], last);
}

TEST_F(ChannelServer, SimilarIsNearestToTheHistoryByCosine) {
  const std::string clicked = item(1);
  click("new", clicked);
  const auto dim = static_cast<size_t>(bundle_.vector_dim());
  const auto vector = [&](int32_t row) {
    return bundle_.item_vectors().subspan(static_cast<size_t>(row) * dim, dim);
  };
  const auto product = [&](int32_t a, int32_t b) {
    double sum = 0;
    for (size_t d = 0; d < dim; ++d) sum += double{vector(a)[d]} * vector(b)[d];
    return sum;
  };
  std::vector<std::pair<double, std::string>> nearest;
  for (int32_t row = 0; row < bundle_.items(); ++row)
    if (row != 1)
      nearest.emplace_back(product(row, 1) / std::sqrt(product(row, row) * product(1, 1)),
                           item(row));
  std::sort(nearest.rbegin(), nearest.rend());
  const Json answer =
      retrieve({{"user", "new"}, {"k", 5}, {"all_items", true}, {"channels", {{"similar", 1}}}});
  ASSERT_EQ(answer["items"].size(), 5u);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(answer["items"][i]["score"].get<double>(), nearest[i].first, 1e-5);
    EXPECT_EQ(answer["items"][i]["channels"][0], "similar");
    EXPECT_NE(answer["items"][i]["id"], clicked);
  }
  // A described history gives the same.
  const Json described = retrieve({{"features", {{"history", {clicked}}}},
                                   {"k", 5},
                                   {"all_items", true},
                                   {"channels", {{"similar", 1}}}});
  EXPECT_EQ(ids(described), ids(answer));
}

TEST_F(ChannelServer, QuotasHoldForOneUserAndForMany) {
  for (int i = 0; i < 3; ++i) click("someone", item(i));
  let_clicks_count();
  const Json channels{{"personal", 2}, {"popular", 1}, {"similar", 1}};
  const auto count = [](const Json& answer) {
    std::map<std::string, int> channels;
    for (const Json& hit : answer["items"]) ++channels[hit["channels"][0]];
    return channels;
  };
  const std::map<std::string, int> expected{{"personal", 4}, {"popular", 2}, {"similar", 2}};
  EXPECT_EQ(count(retrieve({{"user", user(0)}, {"k", 8}, {"channels", channels}})), expected);
  const Json many = retrieve({{"users", {user(0), user(1), "nobody"}},
                              {"k", 8},
                              {"window", "3h"},
                              {"channels", channels}});
  EXPECT_EQ(count(many["results"][0]), expected);
  EXPECT_EQ(count(many["results"][1]), expected);
  EXPECT_EQ(count(many["results"][2]).size(), 1u) << "only popular items for whom nobody knows";
  const std::string metrics = server_.ask("GET", "/metrics").body;
  EXPECT_THAT(metrics, HasSubstr("retort_channel_items_total{channel=\"similar\"} 6"));
  EXPECT_THAT(metrics, HasSubstr("retort_popularity_clicks_total 3"));
  EXPECT_THAT(metrics, HasSubstr("retort_channel_short_total{channel=\"personal\"} 4"));
}

TEST_F(ChannelServer, MistakesAreNamed) {
  const auto refused = [&](const Json& more, const std::string& what) {
    Json body{{"user", user(0)}};
    body.update(more);
    EXPECT_THAT(retrieve(body, 400)["error"]["message"].get<std::string>(), HasSubstr(what));
  };
  refused({{"channels", {{"populer", 1}}}}, "did you mean 'popular'?");
  refused({{"channels", {{"x", 1}}}}, "there are personal, similar, popular");
  refused({{"channels", {{"personal", 0}, {"popular", 0}}}}, "the quotas sum to 0");
  refused({{"channels", Json::object()}}, "the quotas sum to 0");
  refused({{"channels", {{"popular", -1}}}}, "'popular' must be a number");
  refused({{"channels", {{"popular", "all"}}}}, "'popular' must be a number");
  refused({{"channels", {"popular"}}}, "must be an object");
  refused({{"channels", kPopular}, {"window", "1 week"}}, "'window'");
  refused({{"channels", kPopular}, {"window", "30s"}}, "expected 1m to 1w");
  refused({{"explore", {{"slots", 3}, {"from", 2}}}}, "3 slots from 2 candidates");
  refused({{"explore", {{"slots", -1}}}}, "explore");
  refused({{"explore", {{"slots", 5}}}, {"k", 4}}, "5 slots of k = 4");
  refused({{"explore", 3}}, "'explore' must be an object");
  refused({{"request_id", ""}}, "'request_id' must have 1 to");
  EXPECT_EQ(retrieve({{"user", "nobody"}, {"channels", {{"similar", 1}}}}, 404).size(), 1u);
}

}  // namespace
}  // namespace retort
