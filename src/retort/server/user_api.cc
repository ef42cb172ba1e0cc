#include <cmath>

#include "retort/encoder/item_features.h"
#include "retort/server/api.h"
#include "retort/server/body.h"

namespace retort {
namespace {

constexpr const char* kNoStore =
    "this server remembers no users: start it with --users lmdb:FOLDER or --users redis://HOST";

FeatureStore& store_of(FeatureStore* users) {
  if (users == nullptr) throw HttpError(501, kNoStore);
  return *users;
}

HttpResponse unavailable() {
  HttpResponse response = error_response(503, "the store of users cannot be reached now");
  response.headers.emplace_back("Retry-After", "1");
  return response;
}

UserEvent read_event(const Json& json) {
  if (!json.is_object()) throw HttpError(400, "an event must be an object");
  Body body(json);
  UserEvent event;
  if (!body.read("item", event.item) || event.item.empty())
    throw HttpError(400, "an event has no 'item'");
  Json time;
  event.time = body.read("time", time) ? moment_of(time, "time") : system_now();
  body.read("clicked", event.clicked);
  if (body.read("seconds", event.seconds) && !(event.seconds >= 0))
    throw HttpError(400, "'seconds' must be 0 or more");
  body.read("stream", event.stream);
  body.finish();
  return event;
}

/// One event, or {"events": [..]}, oldest or newest first alike. Without a store they still count
/// as clicks and reach the log.
HttpResponse append_events(const EventSinks& sinks, ApiLimits limits, const HttpRequest& request,
                           const std::string& user) {
  if (sinks.exposures == nullptr) store_of(sinks.users);
  check_user_key(user);
  const Json json = parse_object(request.body);
  std::vector<UserEvent> events;
  if (json.contains("events")) {
    if (!json["events"].is_array() || json.size() != 1)
      throw HttpError(400, "'events' must be a list of events, and the only key");
    for (const Json& event : json["events"]) events.push_back(read_event(event));
  } else {
    events.push_back(read_event(json));
  }
  if (std::ssize(events) > limits.rows)
    throw HttpError(400, fmt::format("{} events, expected at most {}", events.size(), limits.rows));
  if (sinks.users != nullptr)
    for (const UserEvent& event : events)
      if (!sinks.users->append_event(user, event)) return unavailable();
  for (const UserEvent& event : events)
    if (event.clicked && event.stream.empty()) sinks.popularity.add(event.item, event.time);
  if (sinks.exposures != nullptr) sinks.exposures->add(user, events);
  return json_response({{"user", user}, {"events", events.size()}}, 202);
}

HttpResponse show_user(FeatureStore& users, const std::string& user) {
  const StoredUser stored = users.find(user);
  if (!stored.available) return unavailable();
  Json events = Json::array();
  for (const UserEvent& event : stored.events)
    events.push_back({{"item", event.item},
                      {"time", event.time},
                      {"clicked", event.clicked},
                      {"seconds", std::isnan(event.seconds) ? Json() : Json(event.seconds)},
                      {"stream", event.stream}});
  return json_response(
      {{"user", user}, {"features", stored.features.value_or(Json())}, {"events", events}});
}

HttpResponse put_user(FeatureStore& users, const HttpRequest& request, const std::string& user) {
  const Json json = parse_object(request.body);
  Body body(json);
  Json features;
  if (!body.read("features", features) || !features.is_object())
    throw HttpError(400, "'features' must be an object");
  body.finish();
  const NamedFeatures named{user, features};
  if (!users.put(std::span(&named, 1))) return unavailable();
  return json_response({{"user", user}});
}

}  // namespace

void add_user_routes(Router& router, const EventSinks& sinks, ApiLimits limits) {
  router.add({"POST", "/v1/users/{id}/events", Scope::kEvents, Lane::kSlow,
              [sinks, limits](const HttpRequest& request, const PathValues& values) {
                return append_events(sinks, limits, request, values.at("id"));
              }});
  FeatureStore* users = sinks.users;
  router.add({"GET", "/v1/users/{id}/events", Scope::kEvents, Lane::kSlow,
              [users](const HttpRequest&, const PathValues& values) {
                return show_user(store_of(users), values.at("id"));
              }});
  router.add({"PUT", "/v1/users/{id}", Scope::kEvents, Lane::kSlow,
              [users](const HttpRequest& request, const PathValues& values) {
                return put_user(store_of(users), request, values.at("id"));
              }});
}

}  // namespace retort
