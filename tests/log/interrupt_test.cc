// Ctrl-C while DuckDB works: the query ends at once, and nothing half made stays behind.
#include <chrono>
#include <csignal>
#include <functional>
#include <thread>

#include "tests/log/ingest_support.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "retort/common/error.h"
#include "retort/common/progress.h"

namespace retort {
namespace {

// A minute of sorting at the least: far more than the test waits.
constexpr const char* kLongSort = "SELECT range AS t FROM range(2000000000) ORDER BY hash(range)";

struct Ending {
  int exit_code = -1;
  std::string message;
  double seconds = 0;  // from the signal to the end
};

/// Runs `work` in a process of its own, which gets SIGINT after half a second.
Ending interrupt(const std::function<void()>& work) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    catch_interrupts();
    std::string message = "not interrupted";
    int code = 0;
    try {
      work();
    } catch (const Error& error) {
      message = error.what();
      code = error.exit_code();
    }
    if (write(ends[1], message.data(), message.size()) < 0) code = -1;
    _exit(code);
  }
  close(ends[1]);
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const auto begin = std::chrono::steady_clock::now();
  kill(child, SIGINT);
  Ending ending;
  char text[1000];
  for (ssize_t bytes; (bytes = read(ends[0], text, sizeof text)) > 0;)
    ending.message.append(text, static_cast<size_t>(bytes));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  ending.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (WIFEXITED(status)) ending.exit_code = WEXITSTATUS(status);
  return ending;
}

void expect_interrupted(const Ending& ending) {
  EXPECT_EQ(ending.exit_code, 130);
  EXPECT_THAT(ending.message, ::testing::HasSubstr("interrupted"));
  EXPECT_LT(ending.seconds, 10);
}

TEST(Interrupt, EndsAStatementThatSorts) {
  expect_interrupted(interrupt([] {
    DuckDb db;
    db.run(fmt::format("CREATE TABLE sorted AS {}", kLongSort));
  }));
}

TEST(Interrupt, EndsAStreamedQueryBeforeItsFirstRow) {
  expect_interrupted(interrupt([] {
    DuckDb db;
    db.query(kLongSort, [](const ResultChunk&) {});
  }));
}

TEST(Interrupt, IngestLeavesNothingBehind) {
  const LogFolder log;
  expect_interrupted(interrupt([&] {
    log.ingest(std::string("[[events]]\nsql = \"SELECT 'u' AS u, 'i' AS i, t FROM (") + kLongSort +
               ")\"\nuser = \"u\"\nitem = \"i\"\ntime = \"t\"\n[split]\nkind = \"user_last\"\n");
  }));
  EXPECT_FALSE(fs::exists(log.out()));
  EXPECT_THAT(log.leftovers(), ::testing::IsEmpty());
}

}  // namespace
}  // namespace retort
