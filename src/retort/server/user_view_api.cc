#include <algorithm>
#include <charconv>
#include <unordered_set>

#include "retort/encoder/features.h"
#include "retort/server/api.h"
#include "retort/server/body.h"

namespace retort {
namespace {

constexpr int64_t kMostListed = 100;

/// What a bundle and the store know of a user now; throws HttpError 404 for nobody.
RawUser user_now(const Bundle& bundle, FeatureStore* users, const LiveItems& items,
                 const std::string& user) {
  const auto row = bundle.find_user(user);
  const StoredUser stored = users != nullptr ? users->find(user) : StoredUser();
  if (stored.features || !stored.events.empty()) {
    const ItemLookup live = [&](const std::string& id) {
      const auto record = items.find(id);
      return record && !record->deleted ? record->features : Json();
    };
    return user_after(bundle, user, stored.features.value_or(Json()), stored.events, system_now(),
                      live);
  }
  if (!row) throw HttpError(404, "nobody knows this user");
  const auto seen = bundle.seen_items(*row);
  return {bundle.user_features(std::span(&*row, 1)), {seen.begin(), seen.end()}};
}

/// Items of the user, each once: those of sequences first, newest first as these are, then what
/// else was seen.
std::vector<std::string> history_of(const Bundle& bundle, const Json& features,
                                    const RawUser& user) {
  std::vector<std::string> history;
  std::unordered_set<std::string> listed;
  const auto add = [&](const std::string& item) {
    if (listed.insert(item).second) history.push_back(item);
  };
  for (const FeatureSpec& spec : bundle.schema().features) {
    if (spec.side != Side::kUser || !lists_item_keys(bundle.schema(), spec) ||
        !features.contains(spec.name) || !bundle.counts_as_seen(spec.stream))
      continue;
    for (const Json& item : features[spec.name])
      if (item.is_string()) add(item.get<std::string>());
  }
  for (const std::string& item : user.seen_others) add(item);
  for (const int32_t item : user.seen) add(std::string(bundle.item_keys()[item]));
  return history;
}

HttpResponse view_user(const ModelChoice& models, FeatureStore* users, const LiveItems& items,
                       const HttpRequest& request, const std::string& user) {
  const Json query = query_object(request.query);
  Body body(query);
  const auto model = models.choose(body, user);
  body.finish();
  const RawUser known = user_now(model->bundle(), users, items, user);
  Json features = describe_user(model->bundle(), known.features, 0);
  features.erase("moment");
  return json_response({{"user", user},
                        {"model", model->name()},
                        {"version", model->version()},
                        {"history", history_of(model->bundle(), features, known)},
                        {"features", features}});
}

/// Looks at every user of the bundle where few begin so: milliseconds for a million.
HttpResponse list_users(const ModelChoice& models, const HttpRequest& request) {
  const Json query = query_object(request.query);
  Body body(query);
  std::string prefix, limit = "20";
  body.read("prefix", prefix);
  body.read("limit", limit);
  const auto model = models.choose(body, "");
  body.finish();
  int64_t most = 0;
  const auto [end, error] = std::from_chars(limit.data(), limit.data() + limit.size(), most);
  if (error != std::errc() || end != limit.data() + limit.size() || most < 1 || most > kMostListed)
    throw HttpError(
        400, fmt::format("'limit' is '{}', expected 1 to {}", limit.substr(0, 32), kMostListed));
  const Strings keys = model->bundle().user_keys();
  Json found = Json::array();
  for (int64_t user = 0; user < keys.size() && std::ssize(found) < most; ++user)
    if (keys[user].starts_with(prefix)) found.push_back(std::string(keys[user]));
  return json_response({{"model", model->name()}, {"version", model->version()}, {"users", found}});
}

}  // namespace

void add_user_view_routes(Router& router, const ModelChoice& models, FeatureStore* users,
                          const LiveItems& items) {
  router.add({"GET", "/v1/users", Scope::kEvents, Lane::kSlow,
              [&models](const HttpRequest& request, const PathValues&) {
                return list_users(models, request);
              }});
  router.add({"GET", "/v1/users/{id}", Scope::kEvents, Lane::kSlow,
              [&models, users, &items](const HttpRequest& request, const PathValues& values) {
                return view_user(models, users, items, request, values.at("id"));
              }});
}

}  // namespace retort
