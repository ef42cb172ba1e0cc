#include "tests/server/raw_client.h"

#include <cstdlib>

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace retort {

std::string RawAnswer::header(const std::string& name) const {
  const size_t at = head.find("\r\n" + name + ": ");
  if (at == std::string::npos) return "";
  const size_t begin = at + name.size() + 4;
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

RawClient::RawClient(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval patience{10, 0};
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    ::close(socket_);
    socket_ = -1;
  }
}

RawClient::~RawClient() {
  if (socket_ >= 0) ::close(socket_);
}

bool RawClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

RawAnswer RawClient::receive(bool with_body) {
  RawAnswer answer;
  const auto more = [&] {
    char buffer[16384];
    const ssize_t got = ::recv(socket_, buffer, sizeof(buffer), 0);
    if (got > 0) rest_.append(buffer, static_cast<size_t>(got));
    return got > 0;
  };
  size_t end = std::string::npos;
  while ((end = rest_.find("\r\n\r\n")) == std::string::npos)
    if (!more()) return answer;
  answer.head = rest_.substr(0, end + 2);
  rest_.erase(0, end + 4);
  const size_t length =
      with_body ? std::strtoul(answer.header("Content-Length").c_str(), nullptr, 10) : 0;
  while (rest_.size() < length)
    if (!more()) return answer;
  answer.body = rest_.substr(0, length);
  rest_.erase(0, length);
  answer.status = std::atoi(answer.head.c_str() + answer.head.find(' '));
  return answer;
}

bool RawClient::closed_within(int milliseconds) {
  pollfd waiting{socket_, POLLIN, 0};
  char byte = 0;
  return ::poll(&waiting, 1, milliseconds) > 0 && ::recv(socket_, &byte, 1, 0) <= 0;
}

RawAnswer RawClient::ask(std::string_view method, std::string_view path, std::string_view body,
                         std::string_view headers) {
  send(fmt::format("{} {} HTTP/1.1\r\nHost: test\r\n{}Content-Length: {}\r\n\r\n{}", method, path,
                   headers, body.size(), body));
  return receive(method != "HEAD");
}

RawAnswer ask(uint16_t port, std::string_view method, std::string_view path, std::string_view body,
              std::string_view headers) {
  return RawClient(port).ask(method, path, body, headers);
}

}  // namespace retort
