#include "tests/trainer/ranks_job.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "retort/common/error.h"
#include "retort/common/progress.h"
#include "retort/trainer/launch.h"
#include "retort/trainer/train.h"

namespace retort {
namespace {

[[noreturn]] void train_as_rank(const Json& recipe, const Dataset& dataset, const fs::path& run,
                                bool resume, const fs::path& errors) {
  if (std::freopen(errors.c_str(), "w", stderr) == nullptr) ::_exit(99);
  Progress::set_enabled(false);
  catch_interrupts();
  int code = 0;
  try {
    train(recipe, dataset,
          {.run = run, .resume = resume, .device = "cpu", .launch = Launch::from_environment()});
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    code = error.exit_code();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "unexpected: %s\n", error.what());
    code = 98;
  }
  std::fflush(stderr);
  ::_exit(code);
}

}  // namespace

uint16_t free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  const bool good = ::bind(socket, any, length) == 0 && ::getsockname(socket, any, &length) == 0;
  ::close(socket);
  if (!good) fail<Error>("no free port: {}", errno_text());
  return ntohs(address.sin_port);
}

RanksJob::RanksJob(const Json& recipe, const Dataset& dataset, const fs::path& folder, int ranks,
                   bool resume)
    : folder_(folder) {
  fs::create_directories(folder);
  const std::string port = std::to_string(free_port());
  for (int rank = 0; rank < ranks; ++rank) {
    ranks_.push_back(::fork());
    if (ranks_.back() != 0) continue;
    ::setenv("RANK", std::to_string(rank).c_str(), 1);
    ::setenv("WORLD_SIZE", std::to_string(ranks).c_str(), 1);
    ::setenv("MASTER_ADDR", "127.0.0.1", 1);
    ::setenv("MASTER_PORT", port.c_str(), 1);
    train_as_rank(recipe, dataset, folder / "run", resume,
                  folder / fmt::format("rank{}.err", rank));
  }
}

RanksJob::~RanksJob() {
  for (const pid_t child : ranks_) {
    if (child <= 0) continue;
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
}

void RanksJob::signal(int rank, int number) const {
  if (const pid_t child = ranks_.at(static_cast<size_t>(rank)); child > 0) ::kill(child, number);
}

int RanksJob::wait(int rank, double seconds) {
  pid_t& child = ranks_.at(static_cast<size_t>(rank));
  const auto begin = std::chrono::steady_clock::now();
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() - begin > std::chrono::duration<double>(seconds)) {
      ::kill(child, SIGKILL);
      ::waitpid(child, &status, 0);
      child = 0;
      return -1000;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  child = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

std::vector<int> RanksJob::wait_for_all() {
  std::vector<int> codes;
  for (size_t rank = 0; rank < ranks_.size(); ++rank) codes.push_back(wait(static_cast<int>(rank)));
  return codes;
}

std::string RanksJob::errors_of(int rank) const {
  return read_file(folder_ / fmt::format("rank{}.err", rank));
}

}  // namespace retort
