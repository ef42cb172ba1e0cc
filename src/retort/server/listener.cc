#include "retort/server/listener.h"

#include <algorithm>
#include <list>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "retort/common/error.h"
#include "retort/common/log.h"
#include "retort/server/connection.h"

namespace retort {
namespace {

/// `shared`: several loops bind the same port, and the kernel spreads connections over them.
void open_acceptor(tcp::acceptor& acceptor, const tcp::endpoint& endpoint, bool shared) {
  using reuse_port = net::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;
  acceptor.open(endpoint.protocol());
  acceptor.set_option(net::socket_base::reuse_address(true));
  if (shared) acceptor.set_option(reuse_port(true));  // else two servers could share it unseen
  acceptor.bind(endpoint);
  acceptor.listen(net::socket_base::max_listen_connections);
}

std::optional<net::ssl::context> open_tls(const ListenerOptions& options) {
  if (options.certificate.empty() && options.key.empty()) return std::nullopt;
  if (options.certificate.empty() || options.key.empty())
    fail<ConfigError>("TLS needs both a certificate and its key");
  net::ssl::context tls(net::ssl::context::tls_server);
  tls.set_options(net::ssl::context::default_workarounds | net::ssl::context::no_sslv2 |
                  net::ssl::context::no_sslv3 | net::ssl::context::no_tlsv1 |
                  net::ssl::context::no_tlsv1_1);
  boost::system::error_code error;
  tls.use_certificate_chain_file(options.certificate.string(), error);
  if (error)
    fail<ConfigError>("{}: no certificate in PEM: {}", options.certificate.string(),
                      error.message());
  tls.use_private_key_file(options.key.string(), net::ssl::context::pem, error);
  if (error)
    fail<ConfigError>("{}: no key in PEM, or not the certificate's: {}", options.key.string(),
                      error.message());
  return tls;
}

}  // namespace

struct Listener::State : ConnectionShared {
  /// One thread's connections; everything in it is touched by that thread alone.
  struct Loop {
    net::io_context io{1};
    tcp::acceptor acceptor{io};
    net::steady_timer patience{io};
    ConnectionSet connections;
    net::executor_work_guard<net::io_context::executor_type> work{io.get_executor()};
    bool draining = false;
  };
  std::optional<net::ssl::context> tls;
  std::list<Loop> loops;
  uint16_t port = 0;

  void accept(Loop& loop);
  void take(Loop& loop, tcp::socket socket);
};

void Listener::State::accept(Loop& loop) {
  loop.acceptor.async_accept([this, &loop](boost::system::error_code error, tcp::socket socket) {
    if (loop.draining) return;
    if (!error)
      take(loop, std::move(socket));
    else if (error == net::error::no_descriptors)  // better late than in a busy loop
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    accept(loop);
  });
}

void Listener::State::take(Loop& loop, tcp::socket socket) {
  ++counts.accepted;
  if (counts.open >= options.connections) {
    ++counts.turned_away;
    return;  // closes it
  }
  boost::system::error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  start_connection(std::move(socket), tls ? &*tls : nullptr, *this, loop.connections);
}

Listener::Listener(const ListenerOptions& options, HttpHandler handler)
    : state_(std::make_unique<State>()) {
  state_->options = options;
  state_->handler = std::move(handler);
  state_->tls = open_tls(options);
  boost::system::error_code error;
  const auto address = net::ip::make_address(options.address, error);
  if (error) fail<ConfigError>("'{}' is no IP address", options.address);
  tcp::endpoint endpoint(address, options.port);
  try {
    for (int i = 0; i < std::max(1, options.threads); ++i) {
      State::Loop& loop = state_->loops.emplace_back();
      open_acceptor(loop.acceptor, endpoint, options.threads > 1);
      endpoint.port(loop.acceptor.local_endpoint().port());
    }
  } catch (const boost::system::system_error& refused) {
    fail<IoError>("{}:{}: cannot listen: {}", options.address, options.port,
                  refused.code().message());
  }
  state_->port = endpoint.port();
  for (State::Loop& loop : state_->loops) state_->accept(loop);
}

Listener::~Listener() = default;

uint16_t Listener::port() const { return state_->port; }

const ListenerCounts& Listener::counts() const { return state_->counts; }

void Listener::run() {
  std::vector<std::jthread> others;
  for (auto loop = std::next(state_->loops.begin()); loop != state_->loops.end(); ++loop)
    others.emplace_back([loop] { loop->io.run(); });
  state_->loops.front().io.run();
}

void Listener::drain(std::chrono::milliseconds patience) {
  for (State::Loop& loop : state_->loops)
    net::post(loop.io, [&loop, patience] {
      loop.patience.expires_after(patience);
      loop.patience.async_wait([&loop](boost::system::error_code error) {
        if (!error) loop.io.stop();
      });
      if (std::exchange(loop.draining, true)) return;
      boost::system::error_code ignored;
      loop.acceptor.close(ignored);
      loop.connections.drain([&loop] {
        loop.patience.cancel();
        loop.work.reset();
      });
    });
}

}  // namespace retort
