// Which handler a method and a path belong to.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "retort/server/http.h"
#include "retort/server/tokens.h"

namespace retort {

/// How a request is answered: at once on the thread that read it, or by the work queue.
enum class Lane { kInline, kQuick, kSlow };

using PathValues = std::map<std::string, std::string>;  // "id" -> decoded

struct Route {
  std::string method, pattern;  // "PUT", "/v1/items/{id}"
  Scope scope = Scope::kRetrieve;
  Lane lane = Lane::kSlow;
  /// Not called for routes of the quick lane. May throw; see error_response.
  std::function<HttpResponse(const HttpRequest&, const PathValues&)> handle{};
};

class Router {
 public:
  void add(Route route) { routes_.push_back(std::move(route)); }
  const std::vector<Route>& routes() const { return routes_; }
  /// GET routes answer HEAD as well. Throws HttpError 404 for an unknown path, 405 for a known one
  /// with another method.
  const Route& find(std::string_view method, std::string_view path, PathValues& values) const;

 private:
  std::vector<Route> routes_;
};

}  // namespace retort
