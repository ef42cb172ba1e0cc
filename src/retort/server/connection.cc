#include "retort/server/connection.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

#include <boost/asio/post.hpp>
#include <boost/asio/ssl/stream_base.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

namespace retort {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using ErrorCode = boost::system::error_code;

constexpr auto kLinger = std::chrono::seconds(1);  // for reading on after an error's answer

std::string text(beast::string_view view) { return {view.data(), view.size()}; }

/// Fewer milliseconds than `most` if the header is a number that says so.
std::chrono::milliseconds deadline_of(beast::string_view header, std::chrono::milliseconds most) {
  int64_t asked = 0;
  const auto [end, error] = std::from_chars(header.data(), header.data() + header.size(), asked);
  if (header.empty() || error != std::errc() || asked < 0) return most;
  return std::min(most, std::chrono::milliseconds(asked));
}

std::string bearer_of(beast::string_view header) {
  constexpr beast::string_view kScheme = "Bearer ";
  if (header.size() < kScheme.size() || !beast::iequals(header.substr(0, kScheme.size()), kScheme))
    return "";
  return text(header.substr(kScheme.size()));
}

/// A mistake of the client's, as a status; 0: nothing that could be answered.
int status_of(ErrorCode error) {
  if (error == http::error::header_limit) return 431;
  if (error == http::error::body_limit) return 413;
  if (error == beast::error::timeout) return 408;
  if (error.category() == http::make_error_code(http::error::bad_method).category() &&
      error != http::error::end_of_stream && error != http::error::partial_message)
    return 400;
  return 0;
}

std::string_view message_of(int status) {
  switch (status) {
    case 408:
      return "the request took too long to arrive";
    case 413:
      return "the body is larger than this server takes";
    case 431:
      return "the header is larger than this server takes";
    default:
      return "this is no HTTP request";
  }
}

template <class Stream>
class HttpConnection : public Connection,
                       public std::enable_shared_from_this<HttpConnection<Stream>> {
 public:
  template <class... Tls>
  HttpConnection(tcp::socket socket, ConnectionShared& shared, ConnectionSet& set, Tls&... tls)
      : stream_(std::move(socket), tls...), shared_(shared), set_(set) {
    ++shared_.counts.open;
  }
  ~HttpConnection() override { --shared_.counts.open; }

  void start() {
    set_.add(this->shared_from_this());
    if constexpr (kTls) {
      layer().expires_after(shared_.options.reading);
      stream_.async_handshake(net::ssl::stream_base::server,
                              [self = this->shared_from_this()](ErrorCode error) {
                                error ? self->close(error) : self->wait();
                              });
    } else {
      wait();
    }
  }

  void end_soon() override {
    if (waiting_) layer().cancel();
  }

 private:
  static constexpr bool kTls = !std::is_same_v<Stream, beast::tcp_stream>;
  beast::tcp_stream& layer() { return beast::get_lowest_layer(stream_); }

  /// For the first byte of the next request.
  void wait() {
    if (set_.draining()) return close({});
    if (buffer_.size() > 0) return read_header();
    waiting_ = true;
    layer().expires_after(shared_.options.idle);
    stream_.async_read_some(buffer_.prepare(4096),
                            [self = this->shared_from_this()](ErrorCode error, size_t bytes) {
                              self->waiting_ = false;
                              if (error) return self->close(error);
                              self->buffer_.commit(bytes);
                              self->read_header();
                            });
  }

  void read_header() {
    parser_.emplace();
    parser_->header_limit(shared_.options.largest_header);
    parser_->body_limit(shared_.options.largest_body);
    layer().expires_after(shared_.options.reading);
    http::async_read_header(stream_, buffer_, *parser_,
                            [self = this->shared_from_this()](ErrorCode error, size_t) {
                              if (error) return self->refuse(error);
                              self->head_ = self->parser_->get().method() == http::verb::head;
                              self->expects_continue() ? self->say_continue() : self->read_body();
                            });
  }

  bool expects_continue() const {
    return beast::iequals(parser_->get()[http::field::expect], "100-continue");
  }

  void say_continue() {
    static const std::string answer = "HTTP/1.1 100 Continue\r\n\r\n";
    net::async_write(stream_, net::buffer(answer),
                     [self = this->shared_from_this()](ErrorCode error, size_t) {
                       error ? self->close(error) : self->read_body();
                     });
  }

  void read_body() {
    http::async_read(stream_, buffer_, *parser_,
                     [self = this->shared_from_this()](ErrorCode error, size_t) {
                       error ? self->refuse(error) : self->handle();
                     });
  }

  void handle() {
    layer().expires_never();
    keep_alive_ = parser_->keep_alive();
    const uint64_t turn = ++turn_;
    pending_ = true;
    // The set owns the connection; a reply that comes after its end finds nobody.
    Reply reply = [weak = this->weak_from_this(), turn,
                   executor = stream_.get_executor()](HttpResponse response) {
      net::post(executor, [weak, turn, response = std::move(response)]() mutable {
        if (const auto self = weak.lock()) self->answer(turn, std::move(response));
      });
    };
    shared_.handler(take_request(), std::move(reply));
  }

  HttpRequest take_request() {
    auto message = parser_->release();
    HttpRequest request;
    request.method = text(message.method_string());
    const std::string target = text(message.target());
    const size_t mark = target.find('?');
    request.path = target.substr(0, mark);
    if (mark != std::string::npos) request.query = target.substr(mark + 1);
    request.bearer = bearer_of(message[http::field::authorization]);
    request.if_none_match = text(message[http::field::if_none_match]);
    request.arrival = SteadyClock::now();
    request.deadline =
        request.arrival + deadline_of(message["X-Deadline-Ms"], shared_.options.deadline);
    request.body = std::move(message.body());
    return request;
  }

  void answer(uint64_t turn, HttpResponse response) {
    if (turn != turn_ || !std::exchange(pending_, false)) return;
    write(std::move(response));
  }

  void write(HttpResponse response) {
    response_ = {};
    response_.result(static_cast<unsigned>(response.status));
    response_.set(http::field::content_type, response.content_type);
    response_.set(http::field::cache_control, "no-store");
    response_.set("X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : response.headers) response_.set(name, value);
    response_.keep_alive(keep_alive_ && !set_.draining());
    response_.body() = std::move(response.body);
    response_.prepare_payload();
    if (response.status == 304) response_.erase(http::field::content_length);
    if (head_) response_.body().clear();
    layer().expires_after(shared_.options.writing);
    http::async_write(stream_, response_,
                      [self = this->shared_from_this()](ErrorCode error, size_t) {
                        if (error) return self->close(error);
                        self->response_.keep_alive() ? self->wait() : self->say_goodbye();
                      });
  }

  /// Says what is wrong with what was sent, and ends.
  void refuse(ErrorCode error) {
    const int status = status_of(error);
    if (status == 408) ++shared_.counts.timed_out;
    if (status == 0) return close(error);
    if (status != 408) ++shared_.counts.malformed;
    if (status == 408) return close({});  // its stream is closed already
    keep_alive_ = false;
    write(error_response(status, message_of(status)));
  }

  /// Reads what is still coming, so that the answer is not lost with a reset.
  void say_goodbye() {
    ErrorCode ignored;
    layer().socket().shutdown(tcp::socket::shutdown_send, ignored);
    layer().expires_after(kLinger);
    discard();
  }

  void discard() {
    buffer_.consume(buffer_.size());
    stream_.async_read_some(buffer_.prepare(4096),
                            [self = this->shared_from_this()](ErrorCode error, size_t) {
                              error ? self->close({}) : self->discard();
                            });
  }

  void close(ErrorCode error) {
    if (error == beast::error::timeout) ++shared_.counts.timed_out;
    ErrorCode ignored;
    layer().socket().close(ignored);
    set_.remove(this->shared_from_this());
  }

  Stream stream_;
  ConnectionShared& shared_;
  ConnectionSet& set_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  uint64_t turn_ = 0;  // the request that an answer is for
  bool waiting_ = false, pending_ = false, keep_alive_ = false, head_ = false;
};

}  // namespace

void start_connection(tcp::socket socket, net::ssl::context* tls, ConnectionShared& shared,
                      ConnectionSet& set) {
  if (tls != nullptr)
    std::make_shared<HttpConnection<beast::ssl_stream<beast::tcp_stream>>>(std::move(socket),
                                                                           shared, set, *tls)
        ->start();
  else
    std::make_shared<HttpConnection<beast::tcp_stream>>(std::move(socket), shared, set)->start();
}

}  // namespace retort
