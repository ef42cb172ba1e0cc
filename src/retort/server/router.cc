#include "retort/server/router.h"

#include <algorithm>

namespace retort {
namespace {

/// The part up to the next '/', which is taken off with it.
std::string_view next_part(std::string_view& path) {
  const std::string_view part = path.substr(0, path.find('/'));
  path.remove_prefix(std::min(path.size(), part.size() + 1));
  return part;
}

bool matches(std::string_view pattern, std::string_view path, PathValues& values) {
  if (std::count(pattern.begin(), pattern.end(), '/') != std::count(path.begin(), path.end(), '/'))
    return false;
  while (!pattern.empty() || !path.empty()) {
    const std::string_view name = next_part(pattern), part = next_part(path);
    if (name.starts_with('{')) {
      // "{name}:rollback" has a fixed end.
      const size_t close = name.find('}');
      const std::string_view end = name.substr(close + 1);
      if (!part.ends_with(end) || part.size() == end.size()) return false;
      values[std::string(name.substr(1, close - 1))] =
          percent_decoded(part.substr(0, part.size() - end.size()));
    } else if (name != part) {
      return false;
    }
  }
  return true;
}

}  // namespace

const Route& Router::find(std::string_view method, std::string_view path,
                          PathValues& values) const {
  bool known = false;
  for (const Route& route : routes_) {
    PathValues found;
    if (!matches(route.pattern, path, found)) continue;
    known = true;
    if (route.method != method && !(method == "HEAD" && route.method == "GET")) continue;
    values = std::move(found);
    return route;
  }
  if (known) throw HttpError(405, "this path has no such method");
  throw HttpError(404, "there is no such path; docs/openapi.yaml lists them");
}

}  // namespace retort
