#include "retort/server/load_generator.h"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <thread>

#include "tests/server/running_server.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/server/listener.h"

namespace retort {
namespace {

using namespace std::chrono_literals;

TEST(LoadTarget, ReadsHostAndPort) {
  const LoadTarget target = parse_load_target("http://localhost:8080/");
  EXPECT_EQ(target.host, "localhost");
  EXPECT_EQ(target.port, "8080");
  EXPECT_EQ(parse_load_target("http://10.0.0.1").port, "80");
  for (const char* bad : {"", "localhost:8080", "https://a", "http://", "http://a:b", "http://a/x",
                          "http://a:80 b", "http://a\r\n:80"})
    EXPECT_THROW(parse_load_target(bad), ConfigError) << bad;
}

TEST(LoadResult, PercentilesAreNearestRanks) {
  LoadResult result;
  EXPECT_EQ(result.percentile(.5), 0);
  result.latencies.resize(100);
  std::iota(result.latencies.begin(), result.latencies.end(), 1);
  EXPECT_EQ(result.percentile(.5), 50);
  EXPECT_EQ(result.percentile(.99), 99);
  EXPECT_EQ(result.percentile(1), 100);
  EXPECT_EQ(result.percentile(0), 1);
}

TEST(LoadGenerator, AsksAtItsRateAndCountsAnswersAndRefusals) {
  const TinyPublication tiny(random_tiny_dataset(3));
  const std::string user(Bundle(tiny.publish().path).user_keys()[0]);
  const RunningServer server(tiny.bundles());
  LoadPlan plan;
  plan.rate = 400;
  plan.seconds = 1;
  plan.connections = 4;
  const LoadTarget target{"127.0.0.1", std::to_string(server.port())};
  int64_t told = 0;
  const LoadResult result =
      generate_load(target, plan, {Json{{"user", user}, {"k", 3}}.dump(), "{\"user\": 5}"},
                    [&](int64_t done) { told = done; });
  EXPECT_EQ(told, result.sent);
  EXPECT_NEAR(static_cast<double>(result.sent), 400, 5 * 20);  // five deviations of a Poisson law
  EXPECT_EQ(result.answered + result.errors.at("status 400"), result.sent);
  EXPECT_NEAR(static_cast<double>(result.answered), static_cast<double>(result.sent) / 2, 1);
  EXPECT_EQ(std::ssize(result.latencies), result.answered);
  EXPECT_TRUE(std::is_sorted(result.latencies.begin(), result.latencies.end()));
  EXPECT_GT(result.latencies.front(), 0);
}

/// A server that stands still for half a second delays every request due in that time; a client
/// that waits for each answer before it asks again would count one.
TEST(LoadGenerator, CountsTheWaitOfRequestsThatCouldNotBeSent) {
  ListenerOptions options;
  options.port = 0;
  std::atomic<int> asked{0};
  Listener listener(options, [&](const HttpRequest&, const Reply& reply) {
    if (asked++ == 0) std::this_thread::sleep_for(500ms);
    reply({});
  });
  std::jthread thread([&] { listener.run(); });
  LoadPlan plan;
  plan.rate = 100;
  plan.seconds = 1;
  plan.connections = 1;
  const LoadResult result =
      generate_load({"127.0.0.1", std::to_string(listener.port())}, plan, {"{}"});
  listener.drain(1s);
  EXPECT_EQ(result.answered, result.sent);
  // Those due in the half second waited a quarter on average.
  EXPECT_GT(result.percentile(.7), .05);
  EXPECT_GT(result.percentile(.95), .3);
}

TEST(LoadGenerator, SaysWhereNobodyAnswers) {
  LoadPlan plan;
  plan.seconds = .1;
  EXPECT_THROW(generate_load({"127.0.0.1", "1"}, plan, {"{}"}), IoError);
  EXPECT_THROW(generate_load({"127.0.0.1", "1"}, plan, {}), ConfigError);
  plan.rate = 0;
  EXPECT_THROW(generate_load({"127.0.0.1", "1"}, plan, {"{}"}), ConfigError);
}

}  // namespace
}  // namespace retort
