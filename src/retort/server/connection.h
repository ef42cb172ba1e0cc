// One connection of a listener, from its first request to its last answer. Only listener.cc
// includes this.
#pragma once

#include <functional>
#include <memory>
#include <unordered_set>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>

#include "retort/server/listener.h"

namespace retort {

namespace net = boost::asio;
using tcp = net::ip::tcp;

/// What the connections of a listener share.
struct ConnectionShared {
  ListenerOptions options;
  HttpHandler handler;
  ListenerCounts counts;
};

class Connection {
 public:
  virtual ~Connection() = default;
  /// Ends now if no request is under way, else after its answer.
  virtual void end_soon() = 0;
};

/// The open connections of one thread, which alone touches them.
class ConnectionSet {
 public:
  void add(std::shared_ptr<Connection> connection) { open_.insert(std::move(connection)); }
  void remove(const std::shared_ptr<Connection>& connection) {
    open_.erase(connection);
    if (open_.empty() && drained_) std::exchange(drained_, nullptr)();
  }
  /// Ends all; calls `drained` once none is left.
  void drain(std::function<void()> drained) {
    drained_ = std::move(drained);
    draining_ = true;
    for (const auto& connection : std::unordered_set(open_)) connection->end_soon();
    if (open_.empty() && drained_) std::exchange(drained_, nullptr)();
  }
  bool draining() const { return draining_; }
  size_t size() const { return open_.size(); }

 private:
  std::unordered_set<std::shared_ptr<Connection>> open_;
  std::function<void()> drained_;
  bool draining_ = false;
};

/// `tls` may be null. `shared` and `set` outlive the connection.
void start_connection(tcp::socket socket, net::ssl::context* tls, ConnectionShared& shared,
                      ConnectionSet& set);

}  // namespace retort
