// The executable itself: found by its log, asked, ended by a signal while it is asked.
#include <atomic>
#include <chrono>
#include <thread>

#include "tests/bundle/tiny_bundle.h"
#include "tests/server/raw_client.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "retort/bundle/bundle.h"

namespace retort {
namespace {

using namespace std::chrono_literals;

/// A child process; its port is what its log says.
class Retortd {
 public:
  Retortd(const fs::path& bundles, const fs::path& log) : child_(fork()) {
    if (child_ == 0) {
      if (std::freopen(log.c_str(), "w", stderr) == nullptr) _exit(126);
      const std::string executable = RETORT_BIN "/retortd";
      execl(executable.c_str(), executable.c_str(), bundles.c_str(), "--port", "0", nullptr);
      _exit(127);
    }
    for (int i = 0; i < 500 && port_ == 0; ++i) {
      std::this_thread::sleep_for(20ms);
      const std::string text = fs::exists(log) ? read_file(log) : "";
      if (text.find("error:") != std::string::npos) return;
      const size_t at = text.find("127.0.0.1:");
      if (at != std::string::npos && text.find('\n', at) != std::string::npos)
        port_ = static_cast<uint16_t>(std::stoi(text.substr(at + 10)));
    }
  }
  ~Retortd() {
    if (child_ > 0) {
      kill(child_, SIGKILL);
      waitpid(child_, nullptr, 0);
    }
  }
  uint16_t port() const { return port_; }
  void signal(int number) const { kill(child_, number); }
  /// Exit code; -1 if it has not ended by itself within ten seconds.
  int wait() {
    for (int i = 0; i < 500; ++i) {
      int status = 0;
      if (waitpid(child_, &status, WNOHANG) == child_) {
        child_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
      }
      std::this_thread::sleep_for(20ms);
    }
    return -1;
  }

 private:
  pid_t child_;
  uint16_t port_ = 0;
};

TEST(RetortdEnds, AnswersWhatIsUnderWayAndExitsWith0) {
  const TinyPublication tiny(random_tiny_dataset(3));
  const Bundle bundle(tiny.publish().path);
  const Json body{{"user", std::string(bundle.user_keys()[0])}, {"k", 5}};
  Retortd server(tiny.bundles(), tiny.scratch / "log");
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
  Retortd server(scratch / "none", scratch / "log");
  EXPECT_EQ(server.wait(), 3);
  EXPECT_THAT(read_file(scratch / "log"), testing::HasSubstr("it does not exist"));
}

}  // namespace
}  // namespace retort
