// A request and its answer, apart from how they travel.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "retort/common/error.h"
#include "retort/common/json.h"

namespace retort {

using SteadyClock = std::chrono::steady_clock;

struct HttpRequest {
  std::string method;           // "POST"
  std::string path;             // "/v1/items/a%20b", undecoded, without the query
  std::string query;            // "model=dmtl"; never with the question mark
  std::string bearer;           // of "Authorization: Bearer ..", empty without one
  std::string if_none_match{};  // of the header; empty without one
  std::string body;
  SteadyClock::time_point arrival;   // of the last byte
  SteadyClock::time_point deadline;  // an answer later than this interests nobody
};

struct HttpResponse {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  /// Beside what every answer carries. Values must not hold CR or LF.
  std::vector<std::pair<std::string, std::string>> headers{};
};

/// To be called once, from any thread; later calls are ignored.
using Reply = std::function<void(HttpResponse)>;
/// Takes a request; must not block: the caller's thread serves all connections.
using HttpHandler = std::function<void(HttpRequest, Reply)>;

/// What a handler throws to answer with another status than its exception's kind implies.
class HttpError : public Error {
 public:
  HttpError(int status, const std::string& message) : Error(message), status_(status) {}
  int status() const { return status_; }

 private:
  int status_;
};

/// {"error": {"status", "message"}}, the message cut to 500 bytes and made valid UTF-8.
HttpResponse error_response(int status, std::string_view message);
/// The answer to an exception: HttpError its own status, ConfigError 400, DataError 422, anything
/// else 500 with no more said than that; the rest is logged.
HttpResponse error_response(const std::exception& error);
HttpResponse json_response(const Json& json, int status = 200);

/// Parses a body as one JSON object: throws HttpError 400 for anything else, and for nesting
/// deeper than 32, before the parser sees it.
Json parse_object(std::string_view body);

/// %XX decoded, '+' left alone. Throws HttpError 400 on a broken escape or a NUL.
std::string percent_decoded(std::string_view text);
/// "a=1&b=x%20y" as {"a": "1", "b": "x y"}; a name without '=' has the value "". Throws HttpError
/// 400 as percent_decoded does, and on a name given twice.
Json query_object(std::string_view query);
/// For metrics.
double seconds_since(SteadyClock::time_point start);

}  // namespace retort
