#include "retort/server/http.h"

#include <algorithm>

#include "retort/common/log.h"

namespace retort {
namespace {

constexpr size_t kLongestMessage = 500;
constexpr int kDeepest = 32;

/// Levels of brackets outside texts, as far as `limit`.
int depth_of(std::string_view json, int limit) {
  int depth = 0, deepest = 0;
  bool text = false;
  for (size_t i = 0; i < json.size() && deepest <= limit; ++i) {
    const char c = json[i];
    if (text) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        text = false;
    } else if (c == '"') {
      text = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return deepest;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

HttpResponse json_response(const Json& json, int status) {
  return {status, json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"};
}

HttpResponse error_response(int status, std::string_view message) {
  return json_response(
      {{"error",
        {{"status", status}, {"message", std::string(message.substr(0, kLongestMessage))}}}},
      status);
}

HttpResponse error_response(const std::exception& error) {
  if (const auto* http = dynamic_cast<const HttpError*>(&error))
    return error_response(http->status(), http->what());
  if (dynamic_cast<const ConfigError*>(&error) != nullptr) return error_response(400, error.what());
  if (dynamic_cast<const DataError*>(&error) != nullptr) return error_response(422, error.what());
  log_warning("server", "a request failed: {}", error.what());
  return error_response(500, "the server failed on this request; its log says why");
}

Json parse_object(std::string_view body) {
  if (depth_of(body, kDeepest) > kDeepest)
    throw HttpError(400, fmt::format("the body is nested deeper than {} levels", kDeepest));
  Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) throw HttpError(400, "the body is not one JSON object");
  return json;
}

std::string percent_decoded(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) throw HttpError(400, "the path holds a broken %-escape");
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == '\0') throw HttpError(400, "the path holds a NUL");
    decoded += c;
  }
  return decoded;
}

Json query_object(std::string_view query) {
  Json values = Json::object();
  while (!query.empty()) {
    const std::string_view part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), part.size() + 1));
    if (part.empty()) continue;
    const size_t equals = std::min(part.find('='), part.size());
    const std::string name = percent_decoded(part.substr(0, equals));
    if (values.contains(name)) throw HttpError(400, "the query names something twice");
    values[name] = percent_decoded(part.substr(std::min(part.size(), equals + 1)));
  }
  return values;
}

double seconds_since(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

}  // namespace retort
