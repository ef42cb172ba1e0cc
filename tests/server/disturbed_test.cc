// What the server says while things around it fail, asked all the time.
#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>

#include "tests/server/redis_process.h"
#include "tests/server/retortd_process.h"
#include "tests/server/running_server.h"
#include "tests/support/soak.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/bundle/bundle.h"
#include "retort/server/feature_store.h"

namespace retort {
namespace {

using namespace std::chrono_literals;

/// docs/serving.md: without its store of users the server answers from the bundle; events alone
/// are refused, with 503, and taken again once Redis is back.
TEST(RetortdDisturbed, RedisStoppedAndStartedUnderLoadDegradesAsStated) {
  if (!RedisProcess::installed()) GTEST_SKIP() << "no redis-server here: scripts/install brings it";
  const TinyPublication tiny(random_tiny_dataset(3));
  const Bundle bundle(tiny.publish().path);
  RedisProcess redis;
  ASSERT_TRUE(redis.start());
  fill_feature_store(bundle, *open_feature_store(redis.url()));
  RetortdProcess server({tiny.bundles().string(), "--users", redis.url()}, tiny.scratch / "log");
  ASSERT_NE(server.port(), 0) << read_file(tiny.scratch / "log");
  const std::string user(bundle.user_keys()[0]), item(bundle.item_keys()[0]);
  const std::string question = Json{{"user", user}, {"k", 5}}.dump();
  const std::string events =
      Json{{"events", Json::array({{{"item", item}, {"seconds", 30}}})}}.dump();
  const std::string path = "/v1/users/" + user + "/events";

  std::atomic<bool> stop{false};
  std::atomic<int64_t> answered{0}, failed{0}, kept{0}, refused{0}, other{0};
  std::vector<std::jthread> clients;
  for (int i = 0; i < 3; ++i)
    clients.emplace_back([&] {
      RawClient client(server.port());
      while (!stop)
        ++(client.ask("POST", "/v1/retrieve", question).status == 200 ? answered : failed);
    });
  clients.emplace_back([&] {
    RawClient client(server.port());
    while (!stop) {
      const int status = client.ask("POST", path, events).status;
      ++(status == 202 ? kept : status == 503 ? refused : other);
    }
  });
  for (int round = 0; round < soak(2); ++round) {
    std::this_thread::sleep_for(100ms);
    redis.stop();
    const int64_t refused_before = refused;
    for (int i = 0; i < 500 && refused == refused_before; ++i) std::this_thread::sleep_for(10ms);
    EXPECT_GT(refused, refused_before);
    ASSERT_TRUE(redis.start());
    const int64_t kept_before = kept;
    for (int i = 0; i < 1000 && kept == kept_before; ++i) std::this_thread::sleep_for(10ms);
    EXPECT_GT(kept, kept_before);
  }
  stop = true;
  clients.clear();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(other, 0);
  EXPECT_GT(answered, 100);
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait(), 0);
}

TEST(ServerDisturbed, SlowClientsAreCutOffWhileHealthIsAnswered) {
  const TinyPublication tiny(random_tiny_dataset(3));
  tiny.publish();
  ServerOptions options = RunningServer::of(tiny.bundles());
  options.listener.reading = 1s;
  const RunningServer server(options);
  std::vector<std::unique_ptr<RawClient>> slow;
  for (int i = 0; i < soak(4); ++i) {
    slow.push_back(std::make_unique<RawClient>(server.port()));
    EXPECT_TRUE(slow.back()->send(i % 2 == 0 ? "POST /v1/retrieve HTTP/1.1\r\nContent-Le"
                                             : "POST /v1/retrieve HTTP/1.1\r\nHost: a\r\n"
                                               "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"));
  }
  const auto begin = std::chrono::steady_clock::now();
  std::vector<bool> open(slow.size(), true);
  while (std::chrono::steady_clock::now() - begin < 1500ms) {
    for (size_t i = 0; i < slow.size(); ++i)  // a byte now and then buys no more time
      if (open[i]) open[i] = slow[i]->send(i % 2 == 0 ? "n" : "1\r\n \r\n");
    EXPECT_EQ(server.ask("GET", "/healthz").status, 200);
    std::this_thread::sleep_for(100ms);
  }
  for (const auto& client : slow) EXPECT_TRUE(client->closed_within(3000));
  EXPECT_EQ(server.ask("GET", "/healthz").status, 200);
}

}  // namespace
}  // namespace retort
