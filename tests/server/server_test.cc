// The API of a running server, asked over sockets; the oracle is the Retriever itself.
#include "retort/server/server.h"

#include <set>

#include "tests/server/running_server.h"
#include "tests/support/soak.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/rng.h"

namespace retort {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class ServerTest : public testing::Test {
 protected:
  ServerTest()
      : tiny_(random_tiny_dataset(3)),
        bundle_(tiny_.publish().path),
        retriever_(bundle_),
        server_(tiny_.bundles()) {}

  std::string user(int32_t row) const { return std::string(bundle_.user_keys()[row]); }
  std::string item(int32_t row) const { return std::string(bundle_.item_keys()[row]); }
  RawAnswer retrieve(const Json& body) const {
    return server_.ask("POST", "/v1/retrieve", body.dump());
  }
  static void expect_same(const Json& answer, const Retrieval& expected) {
    ASSERT_EQ(answer.at("items").size(), expected.items.size()) << answer;
    for (size_t i = 0; i < expected.items.size(); ++i) {
      EXPECT_EQ(answer["items"][i]["id"], expected.items[i].id);
      EXPECT_NEAR(answer["items"][i]["score"].get<float>(), expected.items[i].score, 1e-5);
    }
  }
  static std::string message(const RawAnswer& answer) {
    return answer.json()["error"]["message"].get<std::string>();
  }

  TinyPublication tiny_;
  Bundle bundle_;
  Retriever retriever_;
  RunningServer server_;
};

TEST_F(ServerTest, RetrievesWhatTheRetrieverFinds) {
  for (int32_t row = 0; row < 5; ++row) {
    RetrieveOptions options;
    options.k = 4;
    options.exclude_seen = row % 2 == 1;
    options.exclude = {item(2)};
    const RawAnswer answer = retrieve({{"user", user(row)},
                                       {"k", 4},
                                       {"exclude_seen", options.exclude_seen},
                                       {"exclude", {item(2)}}});
    ASSERT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(answer.json()["model"], "m");
    EXPECT_EQ(answer.json()["version"], 1);
    expect_same(answer.json(), retriever_.retrieve(user(row), options));
  }
}

TEST_F(ServerTest, ManyUsersOfOneRequestFailOneByOne) {
  const RawAnswer answer = retrieve({{"users", {user(0), "nobody", user(1)}}, {"k", 3}});
  ASSERT_EQ(answer.status, 200);
  const Json results = answer.json()["results"];
  ASSERT_EQ(results.size(), 3u);
  RetrieveOptions options;
  options.k = 3;
  expect_same(results[0], retriever_.retrieve(user(0), options));
  EXPECT_EQ(results[1]["error"]["status"], 404);
  expect_same(results[2], retriever_.retrieve(user(1), options));
}

TEST_F(ServerTest, AUserWhoIsDescribedIsServedAsTheRetrieverDoes) {
  const Json features{{"user_id", user(1)}};
  const RawAnswer answer = retrieve({{"features", features}, {"k", 5}});
  ASSERT_EQ(answer.status, 200) << answer.body;
  RetrieveOptions options;
  options.k = 5;
  expect_same(answer.json(), retriever_.retrieve(features, options));
}

TEST_F(ServerTest, MistakesAreNamedWithTheirRemedy) {
  const auto refused = [&](const Json& body, int status, const std::string& what) {
    const RawAnswer answer = retrieve(body);
    EXPECT_EQ(answer.status, status) << body << answer.body;
    EXPECT_THAT(message(answer), HasSubstr(what));
  };
  refused({{"usr", user(0)}}, 400, "did you mean 'user'?");
  refused({{"user", 7}}, 400, "'user' must be a text");
  refused({{"user", user(0)}, {"k", 0}}, 400, "'k' is 0, expected 1 to 1000");
  refused({{"user", user(0)}, {"k", 1e30}}, 400, "'k' must be a whole number");
  refused({{"user", user(0)}, {"k", 4000000000}}, 400, "'k' must be a whole number");
  refused({{"user", user(0)}, {"where", "nothing = 3"}}, 400, "nothing");
  refused({{"user", user(0)}, {"fusion", 0.5}}, 400, "fusion");
  refused({{"user", user(0)}, {"model", "other"}}, 404, "there is no model 'other'; there are m");
  refused({{"user", user(0)}, {"version", 9}}, 404, "version 9 of m does not serve, version 1");
  refused({{"user", "nobody"}}, 404, "nobody knows this user");
  refused({{"k", 3}}, 400, "must say who it is for");
  refused({{"features", {{"user_idd", "x"}}}}, 422, "did you mean 'user_id'?");
  refused({{"users", Json::array()}}, 400, "expected 1 to 1000");
  EXPECT_EQ(server_.ask("POST", "/v1/retrieve", "{").status, 400);
  EXPECT_EQ(server_.ask("POST", "/v1/retrieve", "[1]").status, 400);
  EXPECT_EQ(server_.ask("POST", "/v1/retrieve", "{\"a\": " + std::string(100'000, '[')).status,
            400);
  EXPECT_EQ(server_.ask("GET", "/v1/retrieve").status, 405);
  EXPECT_EQ(server_.ask("GET", "/../../etc/passwd").status, 404);
  EXPECT_EQ(server_.ask("DELETE", "/v1/items/%zz").status, 400);
}

TEST_F(ServerTest, VectorsAreThoseOfTheBundle) {
  const RawAnswer users = server_.ask("POST", "/v1/embed/users", Json{{"users", {user(2)}}}.dump());
  ASSERT_EQ(users.status, 200) << users.body;
  const int32_t row = 2;
  const std::vector<float> expected = retriever_.encode(bundle_.user_features(std::span(&row, 1)));
  for (size_t d = 0; d < expected.size(); ++d)
    EXPECT_NEAR(users.json()["vectors"][0][d].get<float>(), expected[d], 1e-6);
  const RawAnswer items = server_.ask("POST", "/v1/embed/items", Json{{"items", {item(1)}}}.dump());
  ASSERT_EQ(items.status, 200) << items.body;
  for (size_t d = 0; d < expected.size(); ++d)
    EXPECT_FLOAT_EQ(items.json()["vectors"][0][d].get<float>(),
                    bundle_.item_vectors()[expected.size() + d]);
}

TEST_F(ServerTest, APutItemIsFoundAtOnceAndADeletedOneIsGone) {
  const auto ids_of = [&] {
    std::set<std::string> ids;
    const Json answer = retrieve({{"user", user(0)}, {"k", 1000}}).json();
    for (const Json& hit : answer["items"]) ids.insert(hit["id"]);
    return ids;
  };
  ASSERT_EQ(server_.ask("PUT", "/v1/items/fresh%20one", "{\"features\": {}}").status, 200);
  EXPECT_TRUE(ids_of().contains("fresh one"));
  ASSERT_EQ(server_.ask("DELETE", "/v1/items/" + item(0)).status, 200);
  EXPECT_FALSE(ids_of().contains(item(0)));
  EXPECT_EQ(server_
                .ask("POST", "/v1/items:bulk",
                     Json{{"put", {{{"id", "b1"}}, {{"id", "b2"}, {"ttl_seconds", 0}}}},
                          {"delete", {"fresh one"}}}
                         .dump())
                .status,
            200);
  EXPECT_TRUE(ids_of().contains("b1"));
  EXPECT_FALSE(ids_of().contains("b2"));
  EXPECT_FALSE(ids_of().contains("fresh one"));
  EXPECT_EQ(server_.ask("PUT", "/v1/items/x", "{\"features\": {\"nonsense\": 1}}").status, 422);
}

TEST_F(ServerTest, ARequestPastItsDeadlineIsNotBegun) {
  const Json body{{"user", user(0)}};
  EXPECT_EQ(server_.ask("POST", "/v1/retrieve", body.dump(), "X-Deadline-Ms: 0\r\n").status, 504);
  EXPECT_EQ(server_.ask("GET", "/v1/models", "", "X-Deadline-Ms: 0\r\n").status, 504);
  EXPECT_EQ(server_.ask("POST", "/v1/retrieve", body.dump(), "X-Deadline-Ms: 5000\r\n").status,
            200);
}

TEST_F(ServerTest, HealthAndMetrics) {
  EXPECT_EQ(server_.ask("GET", "/healthz").status, 200);
  EXPECT_EQ(server_.ask("GET", "/readyz").status, 200);
  EXPECT_EQ(server_.ask("HEAD", "/healthz").status, 200);
  EXPECT_EQ(server_.ask("HEAD", "/healthz").header("Content-Length"), "16");
  retrieve({{"user", user(0)}});
  const RawAnswer metrics = server_.ask("GET", "/metrics");
  EXPECT_THAT(metrics.header("Content-Type"), StartsWith("text/plain"));
  EXPECT_THAT(metrics.body, HasSubstr("retort_model_version{model=\"m\"} 1"));
  EXPECT_THAT(metrics.body,
              HasSubstr("retort_requests_total{route=\"POST /v1/retrieve\",status=\"200\"} 1"));
  EXPECT_THAT(server_.ask("POST", "/v1/users/u/events", "{}").status, 501);
}

TEST_F(ServerTest, SeenItemsStayOutHoweverTheyAreSeen) {
  ServerOptions options = RunningServer::of(tiny_.bundles());
  options.users = "lmdb:" + (tiny_.scratch / "users").string();
  const RunningServer server(options);
  const auto ids_of = [&](bool exclude_seen) {
    const Json answer =
        server
            .ask("POST", "/v1/retrieve",
                 Json{{"user", user(1)}, {"k", 1000}, {"exclude_seen", exclude_seen}}.dump())
            .json();
    std::set<std::string> ids;
    for (const Json& hit : answer["items"]) ids.insert(hit["id"]);
    return ids;
  };
  const auto seen = bundle_.seen_items(1);
  ASSERT_FALSE(seen.empty());
  const std::string old = item(seen.front());
  ASSERT_EQ(server.ask("PUT", "/v1/items/" + old, "{}").status, 200);  // now the overlay's
  ASSERT_EQ(server.ask("PUT", "/v1/items/fresh", "{}").status, 200);
  EXPECT_TRUE(ids_of(false).contains(old));
  EXPECT_FALSE(ids_of(true).contains(old));
  EXPECT_TRUE(ids_of(true).contains("fresh"));
  ASSERT_EQ(server.ask("POST", "/v1/users/" + user(1) + "/events", "{\"item\": \"fresh\"}").status,
            202);
  EXPECT_TRUE(ids_of(false).contains("fresh"));
  EXPECT_FALSE(ids_of(true).contains("fresh")) << "the click is seen at once";
}

/// A question of every route, with bytes changed, cut, repeated or moved.
std::pair<std::string, std::string> disturbed_question(const Rng& rng, uint64_t round,
                                                       const std::string& user,
                                                       const std::string& item) {
  const std::vector<std::pair<std::string, Json>> questions{
      {"POST /v1/retrieve", {{"user", user}, {"k", 3}, {"where", "category = 3 or length >= 2"}}},
      {"POST /v1/retrieve", {{"features", {{"user_id", user}, {"history", {item}}}}}},
      {"POST /v1/retrieve", {{"users", {user, user}}, {"exclude", {item}}, {"fusion", 0.5}}},
      {"POST /v1/embed/users", {{"users", {user}}, {"features", {{{"user_id", user}}}}}},
      {"POST /v1/embed/items", {{"items", {item}}, {"features", {{{"category", "3"}}}}}},
      {"POST /v1/explain", {{"user", user}, {"items", {item}}, {"nearest", 2}}},
      {"POST /v1/models/m:pin", {{"version", nullptr}}},
      {"PUT /v1/items/a%20b", {{"features", {{"category", "3"}}}, {"ttl_seconds", 5}}},
      {"DELETE /v1/items/" + item, nullptr},
      {"POST /v1/items:bulk", {{"put", {{{"id", "x"}}}}, {"delete", {"x"}}}},
      {"POST /v1/users/u/events", {{"item", item}, {"time", "2024-03-17 12:00:00"}}},
      {"PUT /v1/users/u", {{"features", {{"user_id", user}}}}},
      {"GET /v1/users/u/events", nullptr}};
  uint64_t draw = round * 64;
  const auto below = [&](size_t limit) { return static_cast<size_t>(rng.below(limit, draw++)); };
  const auto& [line, json] = questions[below(questions.size())];
  std::string target = line, body = json.dump();
  static const std::vector<std::string> kPieces{
      "null", "[[", "}", "1e999", "-1", "\"", "\\u0000", "\xff", "{}", "9223372036854775808",
      "''",   "("};
  for (size_t changes = below(5); changes > 0; --changes) {
    std::string& text = below(6) == 0 ? target : body;
    const size_t at = below(text.size() + 1);
    switch (below(4)) {
      case 0:
        text.insert(at, kPieces[below(kPieces.size())]);
        break;
      case 1:
        text.erase(at, below(8));
        break;
      case 2:
        text.insert(at, text.substr(below(text.size() + 1), below(30)));
        break;
      default:
        if (at < text.size()) text[at] = static_cast<char>(below(256));
    }
  }
  return {target, body};
}

TEST_F(ServerTest, DisturbedQuestionsHurtNobody) {
  ServerOptions options = RunningServer::of(tiny_.bundles());
  options.users = "lmdb:" + (tiny_.scratch / "users").string();
  const RunningServer server(options);
  const Rng rng(2, "questions");
  auto client = std::make_unique<RawClient>(server.port());
  for (int round = 0; round < soak(300); ++round) {
    const auto [target, body] =
        disturbed_question(rng, static_cast<uint64_t>(round), user(0), item(1));
    client->send(fmt::format("{} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{}", target,
                             body.size(), body));
    const int status = client->receive().status;
    EXPECT_NE(status, 500) << target << "\n" << body;
    if (status == 0 || status == 400) client = std::make_unique<RawClient>(server.port());
  }
  EXPECT_EQ(server.ask("GET", "/healthz").status, 200);
}

TEST(ServerSplit, GivesAUserTheSameModelAndEachModelItsShare) {
  const TinyPublication tiny(random_tiny_dataset(3));
  const fs::path path = tiny.publish().path;
  ServerOptions options = RunningServer::of(tiny.bundles());
  options.models.push_back({"other", tiny.bundles()});
  const ModelStore store(options.models, std::chrono::hours(1));
  const ModelChoice choice(store, {3, 1}, "salt");
  int other = 0;
  for (int i = 0; i < 4000; ++i) {
    const std::string user = fmt::format("user{}", i);
    EXPECT_EQ(choice.arm_of(user), choice.arm_of(user));
    other += choice.arm_of(user) == "other" ? 1 : 0;
  }
  EXPECT_NEAR(other, 1000, 5 * 27.4);  // five deviations of the binomial
  EXPECT_THROW(ModelChoice(store, {1}, ""), ConfigError);
  EXPECT_THROW(ModelChoice(store, {0, 0}, ""), ConfigError);
  EXPECT_EQ(ModelChoice(store, {0, 1}, "").arm_of("anyone"), "other");
}

TEST(ServerTokens, AskWhoItIsAndWhatFor) {
  const TinyPublication tiny(random_tiny_dataset(3));
  tiny.publish();
  const fs::path file = tiny.scratch / "tokens.txt";
  write_file(file,
             "# who may what\nreader-0123456789 retrieve\nkeeper-0123456789 retrieve,admin\n");
  ServerOptions options = RunningServer::of(tiny.bundles());
  options.tokens = file;
  const RunningServer server(options);
  const auto status = [&](std::string_view method, std::string_view path, std::string_view token) {
    return server.ask(method, path, "{}", fmt::format("Authorization: Bearer {}\r\n", token))
        .status;
  };
  EXPECT_EQ(server.ask("GET", "/healthz").status, 200);
  EXPECT_EQ(server.ask("GET", "/v1/models").status, 401);
  EXPECT_EQ(status("GET", "/v1/models", "reader-012345678"), 401);
  EXPECT_EQ(status("GET", "/v1/models", "reader-0123456789"), 200);
  EXPECT_EQ(status("PUT", "/v1/items/x", "reader-0123456789"), 403);
  EXPECT_EQ(status("PUT", "/v1/items/x", "keeper-0123456789"), 200);

  write_file(file, "short retrieve\n");
  EXPECT_THAT([&] { Tokens{file}; }, testing::ThrowsMessage<ConfigError>(HasSubstr(":1: ")));
  write_file(file, "reader-0123456789 everything\n");
  EXPECT_THAT([&] { Tokens{file}; }, testing::ThrowsMessage<ConfigError>(HasSubstr("no scope")));
}

TEST(ServerAddress, OthersThanThisMachineNeedTokens) {
  const TinyPublication tiny(random_tiny_dataset(3));
  tiny.publish();
  ServerOptions options = RunningServer::of(tiny.bundles());
  options.listener.port = 0;
  options.listener.address = "0.0.0.0";
  EXPECT_THAT([&] { Server{options}; }, testing::ThrowsMessage<ConfigError>(HasSubstr("--tokens")));
  options.open = true;
  EXPECT_NO_THROW(Server{options});
  options.listener.address = "localhost";
  EXPECT_THROW(Server{options}, ConfigError);
}

}  // namespace
}  // namespace retort
