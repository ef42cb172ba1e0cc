#include "retort/encoder/item_features.h"
#include "retort/server/api.h"
#include "retort/server/body.h"

namespace retort {
namespace {

/// {"features": {..}, "expires": moment | "ttl_seconds": 3600}
LiveItem read_item(Body& body, std::string id, int64_t now) {
  LiveItem item;
  item.id = std::move(id);
  body.read("features", item.features);
  if (!item.features.is_object()) throw HttpError(400, "'features' must be an object");
  Json expires;
  double ttl = 0;
  if (body.read("expires", expires)) item.expires = moment_of(expires, "expires");
  if (body.read("ttl_seconds", ttl)) {
    if (!(ttl >= 0 && ttl <= 1e10)) throw HttpError(400, "'ttl_seconds' must be from 0 to 1e10");
    item.expires = now + static_cast<int64_t>(ttl * 1e6);
  }
  return item;
}

HttpResponse put_item(LiveItems& items, const HttpRequest& request, const std::string& id) {
  const Json json = parse_object(request.body.empty() ? "{}" : request.body);
  Body body(json);
  const LiveItem item = read_item(body, id, items.now());
  body.finish();
  items.put(item);
  return json_response({{"id", id}, {"live", true}});
}

HttpResponse erase_item(LiveItems& items, const std::string& id) {
  const std::string ids[] = {id};
  if (!items.erase(ids).front()) throw HttpError(404, "there was no such item; it stays deleted");
  return json_response({{"id", id}, {"live", false}});
}

HttpResponse change_items(LiveItems& items, ApiLimits limits, const HttpRequest& request) {
  const Json json = parse_object(request.body);
  Body body(json);
  Json put = Json::array();
  std::vector<std::string> gone;
  body.read("put", put);
  body.read("delete", gone);
  body.finish();
  if (!put.is_array()) throw HttpError(400, "'put' must be a list of objects");
  const int64_t rows = std::ssize(put) + std::ssize(gone);
  if (rows < 1 || rows > limits.rows)
    throw HttpError(
        400, fmt::format("'put' and 'delete' hold {} items, expected 1 to {}", rows, limits.rows));
  std::vector<LiveItem> live;
  for (const Json& entry : put) {
    if (!entry.is_object()) throw HttpError(400, "'put' must be a list of objects");
    Body one(entry);
    std::string id;
    if (!one.read("id", id)) throw HttpError(400, "an item of 'put' has no 'id'");
    live.push_back(read_item(one, id, items.now()));
    one.finish();
  }
  if (!live.empty()) items.put(live);
  int64_t known = 0;
  if (!gone.empty())
    for (const bool there : items.erase(gone)) known += there ? 1 : 0;
  return json_response({{"put", live.size()}, {"deleted", known}});
}

}  // namespace

void add_item_routes(Router& router, LiveItems& items, ApiLimits limits) {
  router.add({"PUT", "/v1/items/{id}", Scope::kAdmin, Lane::kSlow,
              [&items](const HttpRequest& request, const PathValues& values) {
                return put_item(items, request, values.at("id"));
              }});
  router.add({"DELETE", "/v1/items/{id}", Scope::kAdmin, Lane::kSlow,
              [&items](const HttpRequest&, const PathValues& values) {
                return erase_item(items, values.at("id"));
              }});
  router.add({"POST", "/v1/items:bulk", Scope::kAdmin, Lane::kSlow,
              [&items, limits](const HttpRequest& request, const PathValues&) {
                return change_items(items, limits, request);
              }});
}

}  // namespace retort
