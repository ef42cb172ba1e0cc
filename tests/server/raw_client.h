// A client that sends exactly the bytes it is told to: what servers meet is not always HTTP.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "retort/common/json.h"

namespace retort {

struct RawAnswer {
  int status = 0;  // 0: the connection ended without an answer
  std::string head, body;
  Json json() const { return Json::parse(body, nullptr, false); }
  /// Value of a header, "" without it; names as the server writes them.
  std::string header(const std::string& name) const;
};

/// One connection to 127.0.0.1. Every wait ends after ten seconds.
class RawClient {
 public:
  explicit RawClient(uint16_t port);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  /// False once the server has closed.
  bool send(std::string_view bytes);
  /// with_body false: of HEAD, whose length is that of a body which does not come.
  RawAnswer receive(bool with_body = true);
  /// True if the server closes within the time.
  bool closed_within(int milliseconds);
  RawAnswer ask(std::string_view method, std::string_view path, std::string_view body = "",
                std::string_view headers = "");

 private:
  int socket_;
  std::string rest_;
};

/// On a connection of its own.
RawAnswer ask(uint16_t port, std::string_view method, std::string_view path,
              std::string_view body = "", std::string_view headers = "");

}  // namespace retort
