// The explorer's files as the server gives them, and what the page asks for beside the lists.
#include <set>

#include "tests/server/running_server.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/bundle/bundle.h"
#include "retort/common/file.h"

namespace retort {
namespace {

using testing::HasSubstr;

class Page : public testing::Test {
 protected:
  Page() : tiny_(random_tiny_dataset(3)), bundle_(tiny_.publish().path) {}
  TinyPublication tiny_;
  Bundle bundle_;
};

TEST_F(Page, HasTypesTagsAndAPolicyThatLetsInOnlyItsOwnFiles) {
  const RunningServer server(tiny_.bundles());
  const std::map<std::string, std::string> types{{"/", "text/html; charset=utf-8"},
                                                 {"/page/page.css", "text/css; charset=utf-8"},
                                                 {"/page/palette.css", "text/css; charset=utf-8"},
                                                 {"/page/api.js", "text/javascript; charset=utf-8"},
                                                 {"/page/icon.svg", "image/svg+xml"}};
  std::set<std::string> tags;
  for (const auto& [path, type] : types) {
    const RawAnswer answer = server.ask("GET", path);
    EXPECT_EQ(answer.status, 200) << path;
    EXPECT_EQ(answer.header("Content-Type"), type);
    EXPECT_THAT(answer.header("Content-Security-Policy"), HasSubstr("default-src 'none'"));
    const std::string tag = answer.header("ETag");
    tags.insert(tag);
    const RawAnswer again = server.ask("GET", path, "", "If-None-Match: " + tag + "\r\n");
    EXPECT_EQ(again.status, 304);
    EXPECT_EQ(again.body, "");
    EXPECT_EQ(server.ask("GET", path, "", "If-None-Match: \"other\"\r\n").status, 200);
  }
  EXPECT_EQ(tags.size(), types.size());
  EXPECT_EQ(server.ask("GET", "/page/page.css").body,
            read_file(RETORT_SOURCE "/src/retort/server/page/page.css"));
}

TEST_F(Page, GivesNothingElse) {
  const RunningServer server(tiny_.bundles());
  for (const char* path : {"/page/", "/page/none", "/page/..%2f..%2fetc%2fpasswd", "/page/a/b",
                           "/index.html", "/page"})
    EXPECT_EQ(server.ask("GET", path).status, 404) << path;
  EXPECT_EQ(server.ask("POST", "/").status, 405);
}

TEST_F(Page, IsLeftOutWhereTheServerIsToldSo) {
  ServerOptions options = RunningServer::of(tiny_.bundles());
  options.page = false;
  const RunningServer server(options);
  EXPECT_EQ(server.ask("GET", "/").status, 404);
  EXPECT_EQ(server.ask("GET", "/page/page.css").status, 404);
}

TEST_F(Page, AsksWithoutATokenWhereItsQuestionsNeedOne) {
  ServerOptions options = RunningServer::of(tiny_.bundles());
  write_file(tiny_.scratch / "tokens", "0123456789abcdef retrieve\nfedcba9876543210 events\n");
  options.tokens = tiny_.scratch / "tokens";
  const RunningServer server(options);
  EXPECT_EQ(server.ask("GET", "/").status, 200);
  EXPECT_EQ(server.ask("GET", "/v1/users").status, 401);
  EXPECT_EQ(server.ask("GET", "/v1/users", "", "Authorization: Bearer 0123456789abcdef\r\n").status,
            403);
  EXPECT_EQ(server.ask("GET", "/v1/users", "", "Authorization: Bearer fedcba9876543210\r\n").status,
            200);
}

TEST_F(Page, FindsUsersByTheBeginningOfTheirIds) {
  const RunningServer server(tiny_.bundles());
  std::vector<std::string> expected;
  for (int64_t user = 0; user < bundle_.users(); ++user)
    if (bundle_.user_keys()[user].starts_with("u1"))
      expected.emplace_back(bundle_.user_keys()[user]);
  ASSERT_GT(expected.size(), 1);
  EXPECT_EQ(server.ask("GET", "/v1/users?prefix=u1").json()["users"], Json(expected));
  expected.resize(1);
  EXPECT_EQ(server.ask("GET", "/v1/users?prefix=%751&limit=1").json()["users"], Json(expected));
  EXPECT_EQ(server.ask("GET", "/v1/users?prefix=nobody").json()["users"], Json::array());
  for (const char* wrong :
       {"limit=0", "limit=101", "limit=1x", "prefix=a&prefix=b", "prefix=%f", "unknown=1"})
    EXPECT_EQ(server.ask("GET", std::string("/v1/users?") + wrong).status, 400) << wrong;
}

TEST_F(Page, ShowsAUsersHistoryWithWhatTheyDidSinceFirst) {
  ServerOptions options = RunningServer::of(tiny_.bundles());
  options.users = "lmdb:" + (tiny_.scratch / "users").string();
  const RunningServer server(options);
  const std::string user(bundle_.user_keys()[1]);
  const Json before = server.ask("GET", "/v1/users/" + user).json();
  std::set<std::string> history, seen;
  for (const Json& item : before["history"]) history.insert(item.get<std::string>());
  EXPECT_EQ(history.size(), before["history"].size());  // each once
  for (const int32_t item : bundle_.seen_items(1)) seen.emplace(bundle_.item_keys()[item]);
  EXPECT_TRUE(std::includes(history.begin(), history.end(), seen.begin(), seen.end()));
  std::string other;
  for (int64_t item = 0; item < bundle_.items() && other.empty(); ++item)
    if (!history.contains(std::string(bundle_.item_keys()[item])))
      other = bundle_.item_keys()[item];
  ASSERT_NE(other, "");
  const Json event{{"item", other}, {"seconds", 30}};
  EXPECT_EQ(server.ask("POST", "/v1/users/" + user + "/events", event.dump()).status, 202);
  EXPECT_EQ(server.ask("GET", "/v1/users/" + user).json()["history"][0], other);
}

}  // namespace
}  // namespace retort
