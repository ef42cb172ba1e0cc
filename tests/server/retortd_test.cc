// The executable itself: found by its log, asked, ended by a signal while it is asked.
#include <atomic>
#include <chrono>
#include <thread>

#include "tests/bundle/tiny_bundle.h"
#include "tests/server/raw_client.h"
#include "tests/server/retortd_process.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "retort/bundle/bundle.h"

namespace retort {
namespace {

using namespace std::chrono_literals;

TEST(RetortdEnds, AnswersWhatIsUnderWayAndExitsWith0) {
  const TinyPublication tiny(random_tiny_dataset(3));
  const Bundle bundle(tiny.publish().path);
  const Json body{{"user", std::string(bundle.user_keys()[0])}, {"k", 5}};
  RetortdProcess server({tiny.bundles().string()}, tiny.scratch / "log");
  ASSERT_NE(server.port(), 0) << read_file(tiny.scratch / "log");
  std::atomic<int64_t> answered{0}, failed{0};
  std::vector<std::jthread> clients;
  for (int i = 0; i < 4; ++i)
    clients.emplace_back([&] {
      RawClient client(server.port());
      while (true) {
        const RawAnswer answer = client.ask("POST", "/v1/retrieve", body.dump());
        if (answer.status == 200) {
          ++answered;
        } else {
          failed += answer.status == 0 ? 0 : 1;  // the connection's end is no answer
          return;
        }
        if (answer.header("Connection") == "close") return;
      }
    });
  std::this_thread::sleep_for(200ms);
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait(), 0) << read_file(tiny.scratch / "log");
  clients.clear();
  EXPECT_GT(answered, 50);
  EXPECT_EQ(failed, 0);
}

TEST(RetortdEnds, SaysWhatIsWrongWithItsFolder) {
  const ScratchFolder scratch;
  RetortdProcess server({(scratch / "none").string()}, scratch / "log");
  EXPECT_EQ(server.wait(), 3);
  EXPECT_THAT(read_file(scratch / "log"), testing::HasSubstr("it does not exist"));
}

}  // namespace
}  // namespace retort
