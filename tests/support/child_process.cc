#include "tests/support/child_process.h"

#include <csignal>
#include <cstdlib>
#include <thread>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace retort {
namespace {

constexpr std::chrono::milliseconds kLook{10};

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& arguments, fs::path log)
    : log_(std::move(log)) {
  std::vector<char*> words;
  for (const std::string& argument : arguments)
    words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  child_ = ::fork();
  if (child_ != 0) return;
  const int output = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (output < 0 || ::dup2(output, STDOUT_FILENO) < 0 || ::dup2(output, STDERR_FILENO) < 0)
    ::_exit(126);
  ::execvp(words[0], words.data());
  ::_exit(127);
}

ChildProcess::~ChildProcess() {
  if (child_ <= 0) return;
  ::kill(child_, SIGKILL);
  ::waitpid(child_, nullptr, 0);
}

void ChildProcess::signal(int number) const {
  if (child_ > 0) ::kill(child_, number);
}

bool ChildProcess::ended() {
  int status = 0;
  if (child_ > 0 && ::waitpid(child_, &status, WNOHANG) == child_) {
    child_ = -1;
    code_ = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  return child_ <= 0;
}

int ChildProcess::wait(std::chrono::seconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!ended() && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(kLook);
  return code_;
}

std::string ChildProcess::line_after(const std::string& text) {
  for (int i = 0; i < 2000; ++i) {
    const bool last = ended();
    const std::string all = log();
    const size_t at = all.find(text);
    const size_t end = at == std::string::npos ? at : all.find('\n', at);
    if (end != std::string::npos) return all.substr(at + text.size(), end - at - text.size());
    if (last) return "";
    std::this_thread::sleep_for(kLook);
  }
  return "";
}

std::string ChildProcess::log() const { return fs::exists(log_) ? read_file(log_) : ""; }

int free_port() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* place = reinterpret_cast<sockaddr*>(&address);
  const bool bound =
      ::bind(listener, place, size) == 0 && ::getsockname(listener, place, &size) == 0;
  ::close(listener);
  return bound ? ntohs(address.sin_port) : 0;
}

bool installed(const std::string& program) {
  return std::system(("command -v " + program + " > /dev/null").c_str()) == 0;
}

}  // namespace retort
