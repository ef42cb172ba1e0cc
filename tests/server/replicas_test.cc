// Two servers behind nginx, set up as deploy/nginx.conf has it: they end and come back under load.
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <thread>

#include "tests/bundle/tiny_bundle.h"
#include "tests/server/raw_client.h"
#include "tests/support/child_process.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/bundle/bundle.h"

namespace retort {
namespace {

using namespace std::chrono_literals;

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
  return text;
}

class Replicas : public testing::Test {
 protected:
  void SetUp() override {
    if (!installed("nginx")) GTEST_SKIP() << "no nginx here: scripts/install brings it";
    tiny_.publish();
    for (size_t i = 0; i < 2; ++i) {
      ports_[i] = free_port();
      start(i);
    }
    start_nginx();
  }
  void start(size_t i) {
    servers_[i] = std::make_unique<ChildProcess>(
        std::vector<std::string>{RETORT_BIN "/retortd", tiny_.bundles().string(), "--port",
                                 std::to_string(ports_[i])},
        tiny_.scratch / ("replica" + std::to_string(i)));
    ASSERT_NE(servers_[i]->line_after("listening on "), "") << servers_[i]->log();
  }
  void start_nginx() {
    front_ = free_port();
    std::string text = read_file(RETORT_SOURCE "/deploy/nginx.conf");
    text = replaced(text, "127.0.0.1:8080", "127.0.0.1:" + std::to_string(front_));
    text = replaced(text, "127.0.0.1:8081", "127.0.0.1:" + std::to_string(ports_[0]));
    text = replaced(text, "127.0.0.1:8082", "127.0.0.1:" + std::to_string(ports_[1]));
    text = replaced(text, "/tmp/", tiny_.scratch.path().string() + "/");
    write_file(tiny_.scratch / "nginx.conf", text);
    nginx_ = std::make_unique<ChildProcess>(
        std::vector<std::string>{"nginx", "-c", (tiny_.scratch / "nginx.conf").string(), "-g",
                                 "daemon off;"},
        tiny_.scratch / "nginx.out");
    for (int i = 0; i < 500 && status() != 200; ++i) std::this_thread::sleep_for(10ms);
    ASSERT_EQ(status(), 200) << nginx_->log();
  }
  int status() const { return ask(static_cast<uint16_t>(front_), "GET", "/readyz").status; }
  /// Requests that replica i has answered.
  int64_t answered_by(size_t i) const {
    const std::string text = ask(static_cast<uint16_t>(ports_[i]), "GET", "/metrics").body;
    constexpr std::string_view kName = "retort_requests_total{";
    int64_t sum = 0;
    for (size_t at = text.find(kName); at != std::string::npos; at = text.find(kName, at + 1)) {
      const std::string line = text.substr(at, text.find('\n', at) - at);
      if (line.find("/v1/retrieve") != std::string::npos)
        sum += std::stoll(line.substr(line.rfind(' ') + 1));
    }
    return sum;
  }
  void TearDown() override {
    if (nginx_ == nullptr) return;
    nginx_->signal(SIGTERM);  // killed, it would leave its workers behind
    EXPECT_EQ(nginx_->wait(), 0);
  }

  TinyPublication tiny_{random_tiny_dataset(3)};
  std::array<int, 2> ports_{};
  int front_ = 0;
  std::array<std::unique_ptr<ChildProcess>, 2> servers_;
  std::unique_ptr<ChildProcess> nginx_;
};

TEST_F(Replicas, EndingOneAfterTheOtherUnderLoadFailsNoRequest) {
  const Bundle bundle(tiny_.bundles() / "1");
  const Json body{{"user", std::string(bundle.user_keys()[0])}, {"k", 5}};
  std::atomic<bool> stop{false};
  std::atomic<int64_t> answered{0}, failed{0};
  std::vector<std::jthread> clients;
  for (int i = 0; i < 4; ++i)
    clients.emplace_back([&] {
      auto client = std::make_unique<RawClient>(static_cast<uint16_t>(front_));
      while (!stop) {
        const RawAnswer answer = client->ask("POST", "/v1/retrieve", body.dump());
        ++(answer.status == 200 && answer.json()["items"].size() == 5 ? answered : failed);
        if (answer.status == 0 || answer.header("Connection") == "close")  // nginx has its limits
          client = std::make_unique<RawClient>(static_cast<uint16_t>(front_));
      }
    });
  std::this_thread::sleep_for(200ms);
  for (size_t i = 0; i < 2; ++i) EXPECT_GT(answered_by(i), 0) << "replica " << i;
  for (size_t i = 0; i < 2; ++i) {
    servers_[i]->signal(SIGTERM);
    EXPECT_EQ(servers_[i]->wait(), 0) << servers_[i]->log();
    std::this_thread::sleep_for(200ms);
    start(i);
    for (int look = 0; look < 100 && answered_by(i) == 0; ++look)  // until nginx tries it again
      std::this_thread::sleep_for(100ms);
    EXPECT_GT(answered_by(i), 0) << "replica " << i << " after it came back";
  }
  stop = true;
  clients.clear();
  EXPECT_EQ(failed, 0);
  EXPECT_GT(answered, 200);
}

}  // namespace
}  // namespace retort
