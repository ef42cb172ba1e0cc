// What /v1/explain says beside the student's score: the teacher's probabilities.
#include <cmath>

#include "tests/bundle/tiny_ranker.h"
#include "tests/server/running_server.h"
#include <gtest/gtest.h>

#include "retort/encoder/ranked_pairs.h"
#include "retort/encoder/retriever.h"

namespace retort {
namespace {

class Explain : public testing::Test {
 protected:
  Explain() : bundle_(publish_with_ranker(tiny_).path), retriever_(bundle_), server_(options()) {}

  ServerOptions options() const {
    ServerOptions options = RunningServer::of(tiny_.bundles());
    options.users = "lmdb:" + (tiny_.scratch / "users").string();
    return options;
  }

  Json ask(const Json& question) const {
    const RawAnswer answer = server_.ask("POST", "/v1/explain", question.dump());
    EXPECT_EQ(answer.status, 200) << answer.body;
    return answer.json()["items"];
  }

  std::vector<std::string> all_items() const {
    std::vector<std::string> ids;
    for (int32_t item = 0; item < bundle_.items(); ++item)
      ids.emplace_back(bundle_.item_keys()[item]);
    return ids;
  }

  static void expect_pair(const Json& teacher, const RankedPair& pair) {
    ASSERT_TRUE(teacher.is_object()) << teacher;
    EXPECT_NEAR(teacher["pctr"].get<double>(), *pair.pctr, 1e-6);
    EXPECT_NEAR(teacher["pcvr"].get<double>(), *pair.pcvr, 1e-6);
    EXPECT_NEAR(teacher["pctcvr"].get<double>(), *pair.pctcvr, 1e-6);
    EXPECT_NEAR(teacher["pctr"].get<double>() * teacher["pcvr"].get<double>(),
                teacher["pctcvr"].get<double>(), 1e-6);
    EXPECT_NEAR(teacher["tasks"]["read_given_click"].get<double>(), *pair.pcvr, 1e-6);
  }

  const TinyPublication tiny_{random_tiny_dataset(3)};
  const Bundle bundle_;
  const Retriever retriever_;
  const RunningServer server_;
};

TEST_F(Explain, SaysTheTeachersProbabilitiesOfEveryItemAsked) {
  const std::vector<std::string> ids = all_items();
  std::vector<PairItem> items;
  for (int32_t item = 0; item < bundle_.items(); ++item) items.push_back({ids[size_t(item)], item});
  double least = 1, most = 0;
  for (int32_t user = 0; user < bundle_.users(); ++user) {
    const Json explained = ask({{"user", bundle_.user_keys()[user]}, {"items", ids}});
    const auto pairs =
        rank_pairs(bundle_, *retriever_.ranker(),
                   {bundle_.user_features(std::span(&user, 1)), user}, items, bundle_.moment());
    ASSERT_EQ(explained.size(), pairs.size());
    for (size_t i = 0; i < pairs.size(); ++i) {
      EXPECT_EQ(explained[i]["id"], ids[i]);
      expect_pair(explained[i]["teacher"], pairs[i]);
      least = std::min(least, *pairs[i].pctr);
      most = std::max(most, *pairs[i].pctr);
    }
  }
  EXPECT_GT(most - least, 0.1);
}

TEST_F(Explain, SaysNothingWhereInteractionsAreNotKnown) {
  const Json described = {{"features", {{"history", {"i1"}}}}, {"items", {"i1"}}};
  EXPECT_TRUE(ask(described)[0].at("teacher").is_null());
  Json known = described;
  known["user"] = bundle_.user_keys()[0];
  EXPECT_TRUE(ask(known)[0]["teacher"].is_object());
}

TEST_F(Explain, SeesWhatAUserDidSinceAsRetrievalDoes) {
  const std::string user(bundle_.user_keys()[2]);
  const Json question = {{"user", user}, {"items", all_items()}};
  const Json before = ask(question);
  const RawAnswer posted = server_.ask("POST", "/v1/users/" + user + "/events",
                                       Json{{"item", "i3"}, {"seconds", 50}}.dump());
  ASSERT_EQ(posted.status, 202) << posted.body;
  const Json after = ask(question);
  EXPECT_NE(before[3]["teacher"]["pctr"], after[3]["teacher"]["pctr"]);
  const RawAnswer found = server_.ask("POST", "/v1/retrieve",
                                      Json{{"user", user}, {"k", 5}, {"all_items", true}}.dump());
  const Json hits = found.json()["items"];
  for (const Json& hit : hits) {
    const Json one = ask({{"user", user}, {"items", {hit["id"]}}})[0];
    EXPECT_NEAR(one["score"].get<double>(), hit["score"].get<double>(), 1e-5);
  }
  EXPECT_EQ(hits.size(), 5U);
}

TEST_F(Explain, KnowsLiveItems) {
  const Json put = {{"features", {{"category", "news"}, {"length", 300}}}};
  ASSERT_EQ(server_.ask("PUT", "/v1/items/fresh", put.dump()).status, 200);
  const std::string user(bundle_.user_keys()[1]);
  const Json explained = ask({{"user", user}, {"items", {"fresh", "i1"}}});
  EXPECT_TRUE(explained[0]["teacher"]["pctr"].is_number());
  EXPECT_EQ(explained[0]["attributes"]["category"], Json({"news"}));
  const RawAnswer found = server_.ask(
      "POST", "/v1/retrieve", Json{{"user", user}, {"k", 1000}, {"all_items", true}}.dump());
  const Json hits = found.json()["items"];
  bool met = false;
  for (const Json& hit : hits) {
    if (hit["id"] != "fresh") continue;
    met = true;
    EXPECT_NEAR(explained[0]["score"].get<double>(), hit["score"].get<double>(), 1e-5);
  }
  EXPECT_TRUE(met);
}

TEST(ExplainWithoutTeacher, HasNoSuchKey) {
  const TinyPublication tiny(random_tiny_dataset(3));
  tiny.publish();
  const RunningServer server(tiny.bundles());
  const RawAnswer answer = server.ask("POST", "/v1/explain", R"({"user": "u1", "items": ["i1"]})");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_FALSE(answer.json()["items"][0].contains("teacher"));
}

}  // namespace
}  // namespace retort
