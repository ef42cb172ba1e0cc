#include "retort/server/load_generator.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <optional>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/version.hpp>

#include "retort/common/error.h"
#include "retort/common/rng.h"

namespace retort {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Clock = std::chrono::steady_clock;
using Endpoints = asio::ip::tcp::resolver::results_type;

/// Moments of a Poisson process of `rate` within `seconds`, in seconds from its start.
std::vector<double> poisson_moments(double rate, double seconds, const Rng& rng) {
  std::vector<double> moments;
  double now = 0;
  for (uint64_t i = 0;; ++i) {
    now += -std::log1p(-rng.uniform(i)) / rate;
    if (now >= seconds) return moments;
    moments.push_back(now);
  }
}

class LoadRun {
 public:
  LoadRun(const LoadTarget& target, const LoadPlan& plan, const std::vector<std::string>& bodies,
          const std::function<void(int64_t)>& progress)
      : target_(target),
        plan_(plan),
        bodies_(bodies),
        progress_(progress),
        moments_(poisson_moments(plan.rate, plan.seconds, Rng(plan.seed, "load moments"))),
        order_(bodies.size(), Rng(plan.seed, "load bodies")) {}

  LoadResult run() {
    try {
      endpoints_ = asio::ip::tcp::resolver(context_).resolve(target_.host, target_.port);
      asio::ip::tcp::socket probe(context_);
      asio::connect(probe, endpoints_);
    } catch (const boost::system::system_error& error) {
      fail<IoError>("http://{}:{}: {}", target_.host, target_.port, error.code().message());
    }
    start_ = Clock::now();
    for (int i = 0; i < plan_.connections; ++i)
      asio::co_spawn(context_, connection(), [this](const std::exception_ptr& error) {
        if (error && !failure_) failure_ = error;
        if (error) context_.stop();
      });
    context_.run();
    if (failure_) std::rethrow_exception(failure_);
    result_.seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    std::sort(result_.latencies.begin(), result_.latencies.end());
    return std::move(result_);
  }

 private:
  /// One connection: takes the next request of the schedule, waits for its moment, asks.
  asio::awaitable<void> connection() {
    asio::steady_timer timer(context_);
    std::optional<beast::tcp_stream> stream;
    beast::flat_buffer buffer;
    while (next_ < moments_.size()) {
      const size_t index = next_++;
      const Clock::time_point due = start_ + std::chrono::duration_cast<Clock::duration>(
                                                 std::chrono::duration<double>(moments_[index]));
      if (due > Clock::now()) {
        timer.expires_at(due);
        co_await timer.async_wait(asio::use_awaitable);
      }
      try {
        ++result_.sent;
        if (!stream) {
          stream.emplace(context_);
          stream->expires_after(plan_.timeout);
          co_await stream->async_connect(endpoints_, asio::use_awaitable);
          stream->socket().set_option(asio::ip::tcp::no_delay(true));
          buffer.clear();
        }
        if (!co_await ask(*stream, buffer, index, due)) stream.reset();
      } catch (const boost::system::system_error& error) {
        ++result_.errors[error.code().message()];
        stream.reset();
      }
      if (progress_) progress_(++done_);
    }
  }

  /// False if the server closes the connection after its answer.
  asio::awaitable<bool> ask(beast::tcp_stream& stream, beast::flat_buffer& buffer, size_t index,
                            Clock::time_point due) {
    http::request<http::string_body> request(http::verb::post, plan_.path, 11);
    request.set(http::field::host, target_.host);
    request.set(http::field::content_type, "application/json");
    if (!plan_.bearer.empty()) request.set(http::field::authorization, "Bearer " + plan_.bearer);
    request.body() = bodies_[order_(index % bodies_.size())];
    request.prepare_payload();
    http::response_parser<http::string_body> parser;
    parser.body_limit(boost::none);
    stream.expires_after(plan_.timeout);
    co_await http::async_write(stream, request, asio::use_awaitable);
    co_await http::async_read(stream, buffer, parser, asio::use_awaitable);
    if (parser.get().result() == http::status::ok) {
      ++result_.answered;
      result_.latencies.push_back(std::chrono::duration<double>(Clock::now() - due).count());
    } else {
      ++result_.errors["status " + std::to_string(parser.get().result_int())];
    }
    co_return parser.keep_alive();
  }

  const LoadTarget& target_;
  const LoadPlan& plan_;
  const std::vector<std::string>& bodies_;
  const std::function<void(int64_t)>& progress_;
  std::vector<double> moments_;
  Permutation order_;
  asio::io_context context_{1};
  Endpoints endpoints_;
  Clock::time_point start_;
  size_t next_ = 0;
  int64_t done_ = 0;
  LoadResult result_;
  std::exception_ptr failure_;
};

}  // namespace

LoadTarget parse_load_target(const std::string& url) {
  constexpr std::string_view kScheme = "http://";
  std::string rest = url.starts_with(kScheme) ? url.substr(kScheme.size()) : "";
  if (rest.ends_with('/')) rest.pop_back();
  const size_t colon = rest.rfind(':');
  LoadTarget target{rest.substr(0, colon),
                    colon == std::string::npos ? "80" : rest.substr(colon + 1)};
  const bool number = !target.port.empty() && target.port.size() <= 5 &&
                      target.port.find_first_not_of("0123456789") == std::string::npos;
  if (target.host.empty() || !number || target.host.find_first_of("/?#@ \r\n") != std::string::npos)
    fail<ConfigError>("'{}' is no address of a server: write http://HOST:PORT", url);
  return target;
}

double LoadResult::percentile(double share) const {
  if (latencies.empty()) return 0;
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(latencies.size())));
  return latencies[std::clamp<size_t>(rank, 1, latencies.size()) - 1];
}

LoadResult generate_load(const LoadTarget& target, const LoadPlan& plan,
                         const std::vector<std::string>& bodies,
                         const std::function<void(int64_t)>& progress) {
  if (bodies.empty()) fail<ConfigError>("a load needs at least one request to send");
  if (!(plan.rate > 0) || !(plan.seconds > 0) || plan.connections < 1)
    fail<ConfigError>("a load needs a rate, a time and connections above 0, not {}/s, {} s and {}",
                      plan.rate, plan.seconds, plan.connections);
  return LoadRun(target, plan, bodies, progress).run();
}

}  // namespace retort
