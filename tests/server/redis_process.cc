#include "tests/server/redis_process.h"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "tests/support/child_process.h"
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

}  // namespace

bool RedisProcess::installed() { return retort::installed("redis-server"); }

bool RedisProcess::start() {
  if (port_ == 0) port_ = free_port();
  if (port_ == 0) return false;
  const std::string port = std::to_string(port_), folder = scratch_.path().string();
  server_ = std::make_unique<ChildProcess>(
      std::vector<std::string>{"redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
                               "--appendonly", "no", "--dir", folder},
      scratch_ / "log");
  for (int i = 0; i < 1000 && !server_->ended(); ++i) {
    if (command("PING").starts_with("+PONG")) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  stop();
  return false;
}

void RedisProcess::stop() { server_.reset(); }

void RedisProcess::signal(int number) const {
  if (server_ != nullptr) server_->signal(number);
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
