// A few connections to a Redis server that may go and come back. No caller waits for one to be
// made: a thread of its own does that.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

struct redisContext;

namespace retort {

struct RedisAddress {
  std::string host = "127.0.0.1";
  int port = 6379;
  int db = 0;
  std::string password{};
  std::chrono::milliseconds timeout{20};  // to connect, and of each answer
  int connections = 4;
};

/// Thread-safe. Once a connection fails all are dropped, and there are none to borrow until the
/// server has answered a new one: whoever asks meanwhile is told so at once. Tried again at once,
/// then after 50 ms, doubling to 2 s.
class RedisConnections {
 public:
  /// Tries one connection before it returns. Makes the process ignore SIGPIPE unless it handles it.
  explicit RedisConnections(RedisAddress address);
  ~RedisConnections();
  RedisConnections(const RedisConnections&) = delete;
  RedisConnections& operator=(const RedisConnections&) = delete;

  struct Free {
    void operator()(redisContext* context) const;
  };
  struct Connection {
    std::unique_ptr<redisContext, Free> context;
    uint64_t generation = 0;  // failures before it was made
  };
  /// Without a context: the server cannot be reached, or all connections stayed busy for the
  /// timeout.
  Connection borrow();
  void give_back(Connection connection);
  /// Of one that failed.
  void drop(Connection connection);
  bool up() const;
  /// Connections made since the first failure.
  uint64_t reconnects() const;

 private:
  Connection connect(std::string& error) const;
  void keep_connected(const std::stop_token& stop);

  RedisAddress address_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<Connection> idle_;
  int open_ = 0;  // of this generation, idle and borrowed
  uint64_t generation_ = 0, reconnects_ = 0;
  std::jthread keeper_;
};

}  // namespace retort
