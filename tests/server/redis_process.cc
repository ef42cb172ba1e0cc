#include "tests/server/redis_process.h"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace retort {
namespace {

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

int free_port() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  auto* place = reinterpret_cast<sockaddr*>(&address);
  const bool bound =
      ::bind(listener, place, size) == 0 && ::getsockname(listener, place, &size) == 0;
  ::close(listener);
  return bound ? ntohs(address.sin_port) : 0;
}

}  // namespace

bool RedisProcess::installed() { return std::system("command -v redis-server > /dev/null") == 0; }

bool RedisProcess::start() {
  if (port_ == 0) port_ = free_port();
  if (port_ == 0) return false;
  const std::string port = std::to_string(port_), folder = scratch_.path().string();
  child_ = ::fork();
  if (child_ == 0) {
    const int nowhere = ::open("/dev/null", O_RDWR);
    for (const int output : {STDOUT_FILENO, STDERR_FILENO}) ::dup2(nowhere, output);
    ::execlp("redis-server", "redis-server", "--port", port.c_str(), "--bind", "127.0.0.1",
             "--save", "", "--appendonly", "no", "--dir", folder.c_str(), nullptr);
    ::_exit(127);
  }
  for (int i = 0; i < 1000; ++i) {
    if (command("PING").starts_with("+PONG")) return true;
    int status = 0;
    if (::waitpid(child_, &status, WNOHANG) == child_) {
      child_ = -1;
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  stop();
  return false;
}

void RedisProcess::stop() {
  if (child_ <= 0) return;
  ::kill(child_, SIGKILL);
  ::waitpid(child_, nullptr, 0);
  child_ = -1;
}

void RedisProcess::signal(int number) const {
  if (child_ > 0) ::kill(child_, number);
}

std::string RedisProcess::command(const std::string& line) const {
  const int connection = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port_);
  const timeval limit{1, 0};
  ::setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  std::string answer;
  if (::connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    const std::string text = line + "\r\n";
    char byte = 0;
    if (::send(connection, text.data(), text.size(), MSG_NOSIGNAL) == std::ssize(text))
      while (::recv(connection, &byte, 1, 0) == 1 && byte != '\r') answer += byte;
  }
  ::close(connection);
  return answer;
}

std::string RedisProcess::url(const std::string& options) const {
  return fmt::format("redis://127.0.0.1:{}{}", port_, options);
}

}  // namespace retort
