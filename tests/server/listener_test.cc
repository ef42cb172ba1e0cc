// What reaches a listener that is no good HTTP, or too much of it, or too slow.
#include "retort/server/listener.h"

#include <atomic>
#include <thread>
#include <vector>

#include "tests/server/raw_client.h"
#include "tests/support/soak.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/rng.h"

namespace retort {
namespace {

using namespace std::chrono_literals;
using testing::AnyOf;

/// Echoes bodies; "/slow" answers after 300 ms from another thread, "/never" never.
class ListenerTest : public testing::Test {
 protected:
  ListenerTest() {
    ListenerOptions options;
    options.port = 0;
    options.threads = 2;
    options.connections = 64;
    options.largest_body = 1000;
    options.largest_header = 1000;
    options.idle = 400ms;
    options.reading = 400ms;
    options.writing = 1000ms;
    listener_ = std::make_unique<Listener>(options, [this](HttpRequest request, Reply reply) {
      if (request.path == "/never") return;
      if (request.path == "/slow") {
        late_.emplace_back([reply] {
          std::this_thread::sleep_for(300ms);
          reply({200, "late"});
          reply({200, "twice"});
        });
        return;
      }
      reply({200, request.method + " " + request.path + " " + request.query + " " + request.body});
    });
    thread_ = std::thread([this] { listener_->run(); });
  }
  ~ListenerTest() override {
    listener_->drain(2s);
    thread_.join();
    late_.clear();
  }
  uint16_t port() const { return listener_->port(); }

  std::unique_ptr<Listener> listener_;
  std::vector<std::jthread> late_;
  std::thread thread_;
};

TEST_F(ListenerTest, KeepsAConnectionForOneRequestAfterAnother) {
  RawClient client(port());
  EXPECT_EQ(client.ask("POST", "/a?b=c", "body").body, "POST /a b=c body");
  EXPECT_EQ(client.ask("GET", "/slow").body, "late");
  EXPECT_EQ(client.ask("PUT", "/d", "").body, "PUT /d  ");
}

TEST_F(ListenerTest, RequestsSentAheadAreAnsweredInTheirOrder) {
  RawClient client(port());
  client.send(
      "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
      "GET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client.receive().body, "GET /1  ");
  EXPECT_EQ(client.receive().body, "late");
  EXPECT_EQ(client.receive().body, "GET /3  ");
  EXPECT_TRUE(client.closed_within(2000));
}

TEST_F(ListenerTest, ChunksAreJoinedAndEndlessOnesEnd) {
  RawClient client(port());
  client.send(
      "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n"
      "0\r\n\r\n");
  EXPECT_EQ(client.receive().body, "POST /c  abcde");
  client.send("POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "64\r\n" + std::string(100, 'x') + "\r\n";
  for (int i = 0; i < 1000 && client.send(chunk); ++i) {
  }
  EXPECT_EQ(client.receive().status, 413);
}

TEST_F(ListenerTest, TooMuchIsRefused) {
  EXPECT_EQ(ask(port(), "POST", "/", std::string(2000, 'x')).status, 413);
  EXPECT_EQ(ask(port(), "POST", "/", "", "X: " + std::string(2000, 'x') + "\r\n").status, 431);
  EXPECT_EQ(ask(port(), "POST", "/" + std::string(2000, 'x')).status, 431);
}

TEST_F(ListenerTest, WhatIsNoHttpIsRefused) {
  for (const char* bytes :
       {"hello\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET /\r\n\r\n", "\r\n\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "GET / HTTP/1.1\r\nbad header\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"}) {
    RawClient client(port());
    client.send(bytes);
    EXPECT_THAT(client.receive().status, AnyOf(0, 400, 413)) << bytes;
  }
  EXPECT_EQ(ask(port(), "GET", "/fine").status, 200);
}

TEST_F(ListenerTest, SlowAndIdleClientsAreCutOff) {
  std::vector<std::unique_ptr<RawClient>> slow;
  for (int i = 0; i < 40; ++i) slow.push_back(std::make_unique<RawClient>(port()));
  for (int step = 0; step < 6; ++step) {  // a byte every 100 ms: never done within 400
    for (size_t i = 0; i < slow.size(); ++i)
      if (i % 4 != 0) slow[i]->send(step == 0 ? "G" : "x");
    EXPECT_EQ(ask(port(), "GET", "/healthz").status, 200);
    std::this_thread::sleep_for(100ms);
  }
  for (const auto& client : slow) EXPECT_TRUE(client->closed_within(1500));
  EXPECT_GE(listener_->counts().timed_out, 40);
}

TEST_F(ListenerTest, ConnectionsAboveTheLimitAreTurnedAway) {
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 64; ++i) clients.push_back(std::make_unique<RawClient>(port()));
  for (const auto& client : clients) client->ask("GET", "/");  // all are taken by now
  EXPECT_EQ(ask(port(), "GET", "/").status, 0);
  clients.clear();
  for (int i = 0; i < 100 && ask(port(), "GET", "/").status != 200; ++i)
    std::this_thread::sleep_for(20ms);
  EXPECT_EQ(ask(port(), "GET", "/").status, 200);
  EXPECT_GE(listener_->counts().turned_away, 1);
}

TEST_F(ListenerTest, DrainingAnswersWhatIsUnderWayAndTakesNothingNew) {
  RawClient idle(port()), busy(port());
  idle.ask("GET", "/");
  busy.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
  std::this_thread::sleep_for(100ms);
  listener_->drain(5s);
  EXPECT_TRUE(idle.closed_within(1000));
  const RawAnswer answer = busy.receive();
  EXPECT_EQ(answer.body, "late");
  EXPECT_EQ(answer.header("Connection"), "close");
  EXPECT_EQ(ask(port(), "GET", "/").status, 0);
}

/// Valid requests with bytes changed, cut, repeated or moved.
std::string disturbed(const Rng& rng, uint64_t round) {
  std::string bytes =
      "POST /v1/retrieve?model=m HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
      "Content-Length: 30\r\nAuthorization: Bearer abc\r\n\r\n{\"user\": \"u000001\", \"k\": "
      "10}\r\n";
  uint64_t draw = round * 64;
  const auto below = [&](size_t limit) { return static_cast<size_t>(rng.below(limit, draw++)); };
  for (size_t changes = 1 + below(6); changes > 0 && !bytes.empty(); --changes) {
    const size_t at = below(bytes.size());
    switch (below(5)) {
      case 0:
        bytes[at] = static_cast<char>(below(256));
        break;
      case 1:
        bytes.resize(at);
        break;
      case 2:
        bytes.insert(at, bytes.substr(below(bytes.size()), below(40)));
        break;
      case 3:
        bytes.erase(at, below(20));
        break;
      default:
        bytes.insert(at, 1, "\r\n\0: {"[below(6)]);
        break;
    }
  }
  return bytes;
}

TEST_F(ListenerTest, DisturbedRequestsHurtNobody) {
  const Rng rng(1, "requests");
  for (int round = 0; round < soak(300); ++round) {
    RawClient client(port());
    client.send(disturbed(rng, static_cast<uint64_t>(round)));
    if (round % 50 == 0) {
      EXPECT_EQ(ask(port(), "GET", "/").status, 200);
    }
  }
  EXPECT_EQ(ask(port(), "GET", "/").status, 200);
}

}  // namespace
}  // namespace retort
