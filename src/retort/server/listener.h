// HTTP/1.1 on Boost.Beast, with or without TLS: connections, limits and time-outs. What a request
// means is the handler's.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "retort/common/file.h"
#include "retort/server/http.h"

namespace retort {

struct ListenerOptions {
  std::string address = "127.0.0.1";
  uint16_t port = 8080;  // 0: any free one
  int threads = 1;       // that read and write; each accepts connections of its own
  int connections = 1024;
  uint64_t largest_body = 8 << 20;
  uint32_t largest_header = 8192;
  std::chrono::milliseconds idle{60'000};     // between two requests of a connection
  std::chrono::milliseconds reading{10'000};  // from a request's first byte to its last
  std::chrono::milliseconds writing{10'000};  // of an answer
  std::chrono::milliseconds deadline{2'000};  // for answering, unless the request asks for less
  fs::path certificate, key;                  // PEM files; with them TLS 1.2 and up
};

/// What has happened on all connections so far.
struct ListenerCounts {
  std::atomic<int64_t> accepted{0};
  std::atomic<int64_t> open{0};
  std::atomic<int64_t> turned_away{0};  // above `connections`
  std::atomic<int64_t> timed_out{0};    // idle, or too slow to send or to read
  std::atomic<int64_t> malformed{0};    // no HTTP, or above a limit
};

/// A request with "X-Deadline-Ms: N" is to be answered within N ms of its arrival. Every connection
/// that is closed for a mistake is told which, with 400, 408, 413 or 431, and nothing of a request
/// is echoed into a header.
class Listener {
 public:
  /// Binds and listens. Throws IoError naming the address if that fails, ConfigError on a wrong
  /// address, certificate or key.
  Listener(const ListenerOptions& options, HttpHandler handler);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  uint16_t port() const;
  const ListenerCounts& counts() const;
  /// Serves on `threads` threads until `drain` has let the last connection go.
  void run();
  /// Accepts no more; connections end once their request is answered, all of them after `patience`.
  /// Thread-safe, returns at once; called again, it sets another patience.
  void drain(std::chrono::milliseconds patience);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace retort
