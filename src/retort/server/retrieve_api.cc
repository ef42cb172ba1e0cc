#include "retort/server/retrieve_api.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "retort/encoder/features.h"
#include "retort/encoder/user_events.h"

namespace retort {
namespace {

/// The row of `one` below those of `all`, which has none at first.
void append_row(SideBatch& all, const SideBatch& one) {
  if (all.rows == 0) {
    all = one;
    return;
  }
  for (size_t i = 0; i < all.sparse.size(); ++i) {
    SparseColumn& to = all.sparse[i];
    to.ids.insert(to.ids.end(), one.sparse[i].ids.begin(), one.sparse[i].ids.end());
    to.offsets.push_back(static_cast<int32_t>(to.ids.size()));
  }
  all.dense.insert(all.dense.end(), one.dense.begin(), one.dense.end());
  ++all.rows;
}

void append_text(std::string& json, const std::string& text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
  });
  if (plain)
    json.append(1, '"').append(text).append(1, '"');
  else
    json += Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// By hand: at a hundred items it is most of what an answer costs beside the search.
void append_items(std::string& json, const std::vector<Retrieval::Item>& items) {
  json += "\"items\":[";
  char number[32];
  for (const Retrieval::Item& item : items) {
    if (&item != items.data()) json += ',';
    json += "{\"id\":";
    append_text(json, item.id);
    json += ",\"score\":";
    json.append(number, std::to_chars(number, number + sizeof(number), item.score).ptr);
    json += '}';
  }
  json += ']';
}

std::string head_of(const ServedModel& model) {
  std::string json = "{\"model\":";
  append_text(json, model.name());
  return json + fmt::format(",\"version\":{},", model.version());
}

}  // namespace

struct RetrieveApi::Ask {
  ModelStore::Served model;
  std::string user;  // empty: described by features alone
  Json features;     // null: none
  RetrieveOptions options;
  RawUser known{};
  std::vector<float> query{};
  Retrieval found{};
  std::optional<HttpResponse> failed{};
};

RetrieveApi::RetrieveApi(const ModelChoice& models, ServerMetrics& metrics, const LiveItems& items,
                         FeatureStore* users, RetrieveLimits limits)
    : models_(models), metrics_(metrics), items_(items), users_(users), limits_(limits) {}

RetrieveOptions RetrieveApi::read_options(Body& body, const ServedModel& model) const {
  RetrieveOptions options;
  body.read("k", options.k);
  if (options.k < 1 || options.k > limits_.k)
    throw HttpError(400, fmt::format("'k' is {}, expected 1 to {}", options.k, limits_.k));
  body.read("exclude_seen", options.exclude_seen);
  body.read("exclude", options.exclude);
  body.read("where", options.where);
  bool all_items = false;
  body.read("all_items", all_items);
  options.prefer_alive = !all_items;
  body.read("fusion", options.shares);
  if (!options.shares.empty()) {
    ModelSpec spec = model.bundle().spec();
    set_shares(spec, options.shares, "'fusion'");
  }
  options.overlay = model.overlay();
  return options;
}

RetrieveApi::Ask RetrieveApi::read(Body& body, std::string user, Json features) const {
  Ask ask;
  ask.model = models_.choose(body, user);
  ask.options = read_options(body, *ask.model);
  ask.user = std::move(user);
  ask.features = std::move(features);
  return ask;
}

/// Fills `known` from the bundle, the store of users, or the features of the request, which stand
/// over either.
void RetrieveApi::find_users(std::span<Ask*> asks) const {
  std::vector<std::string> keys;
  if (users_ != nullptr)
    for (const Ask* ask : asks) keys.push_back(ask->user);
  const std::vector<StoredUser> stored =
      keys.empty() ? std::vector<StoredUser>() : users_->find(keys);
  for (size_t i = 0; i < asks.size(); ++i) {
    Ask& ask = *asks[i];
    const Bundle& bundle = ask.model->bundle();
    const auto row = ask.user.empty() ? std::nullopt : bundle.find_user(ask.user);
    const bool remembered =
        !stored.empty() && !ask.user.empty() && (stored[i].features || !stored[i].events.empty());
    try {
      if (remembered) {
        ask.known = user_after(bundle, ask.user, stored[i].features.value_or(Json()),
                               stored[i].events, system_now(), live_features(), ask.features);
      } else if (!ask.features.is_null()) {
        ask.known = raw_user(bundle, ask.features);
      } else if (row) {
        const auto seen = bundle.seen_items(*row);
        ask.known = {bundle.user_features(std::span(&*row, 1)), {seen.begin(), seen.end()}};
      } else {
        throw HttpError(404, "nobody knows this user: give 'features', or POST events first");
      }
      if (ask.options.exclude_seen)
        ask.options.exclude.insert(ask.options.exclude.end(), ask.known.seen_others.begin(),
                                   ask.known.seen_others.end());
    } catch (const std::exception& error) {
      ask.failed = error_response(error);
    }
  }
}

/// What the bundle does not know of an item, a live one's PUT may have said.
ItemLookup RetrieveApi::live_features() const {
  return [this](const std::string& id) {
    const auto record = items_.find(id);
    return record && !record->deleted ? record->features : Json();
  };
}

/// One product for all asks of one model that ask for no fusion of their own.
void RetrieveApi::encode(std::span<Ask*> asks) const {
  std::map<const ServedModel*, std::vector<Ask*>> groups;
  for (Ask* ask : asks) {
    if (ask->failed) continue;
    if (ask->options.shares.empty()) {
      groups[ask->model.get()].push_back(ask);
    } else {
      const auto start = SteadyClock::now();
      ask->query = ask->model->retriever().encode(ask->known.features, {}, ask->options.shares);
      metrics_.tower_seconds().Observe(seconds_since(start));
    }
  }
  for (const auto& [model, group] : groups) {
    SideBatch users;
    for (const Ask* ask : group) append_row(users, ask->known.features);
    const auto start = SteadyClock::now();
    const std::vector<float> vectors = model->retriever().encode(users);
    metrics_.tower_seconds().Observe(seconds_since(start));
    metrics_.batch_size().Observe(static_cast<double>(group.size()));
    const auto dim = static_cast<size_t>(model->bundle().vector_dim());
    for (size_t i = 0; i < group.size(); ++i)
      group[i]->query.assign(vectors.begin() + static_cast<ptrdiff_t>(i * dim),
                             vectors.begin() + static_cast<ptrdiff_t>((i + 1) * dim));
  }
}

void RetrieveApi::search(Ask& ask) const {
  if (ask.failed) return;
  try {
    const auto start = SteadyClock::now();
    ask.found = ask.model->retriever().search(ask.query, ask.known.seen, ask.options);
    metrics_.search_seconds().Observe(seconds_since(start));
  } catch (const std::exception& error) {
    ask.failed = error_response(error);
  }
}

/// Up to the search; what goes wrong for all is every one's failure.
void RetrieveApi::prepare(std::span<Ask> asks) const {
  std::vector<Ask*> all;
  for (Ask& ask : asks) all.push_back(&ask);
  try {
    find_users(all);
    encode(all);
  } catch (const std::exception& error) {
    for (Ask& ask : asks) ask.failed = error_response(error);
  }
}

std::vector<Work> RetrieveApi::answer_quick(std::span<Work> works) const {
  std::vector<Work> many;
  std::vector<Ask> asks;
  std::vector<Work*> asked;
  for (Work& work : works) {
    try {
      const Json json = parse_object(work.request.body);
      Body body(json);
      if (body.has("users")) {
        many.push_back(std::move(work));
        continue;
      }
      std::string user;
      Json features;
      body.read("user", user);
      body.read("features", features);
      Ask ask = read(body, std::move(user), std::move(features));
      body.finish();
      if (ask.user.empty() && ask.features.is_null())
        throw HttpError(400, "'user', 'users' or 'features' must say who it is for");
      asks.push_back(std::move(ask));
      asked.push_back(&work);
    } catch (const std::exception& error) {
      work.reply(error_response(error));
    }
  }
  prepare(asks);
  for (size_t i = 0; i < asks.size(); ++i) {  // each is answered as soon as it can be
    search(asks[i]);
    if (asks[i].failed) {
      asked[i]->reply(std::move(*asks[i].failed));
      continue;
    }
    HttpResponse response;
    response.body = head_of(*asks[i].model);
    append_items(response.body, asks[i].found.items);
    response.body += "}\n";
    asked[i]->reply(std::move(response));
  }
  return many;
}

HttpResponse RetrieveApi::answer_many(const HttpRequest& request) const {
  const Json json = parse_object(request.body);
  Body body(json);
  std::vector<std::string> users;
  body.read("users", users);
  if (users.empty() || std::ssize(users) > limits_.users)
    throw HttpError(
        400, fmt::format("'users' names {} users, expected 1 to {}", users.size(), limits_.users));
  std::vector<Ask> asks;
  for (std::string& user : users) asks.push_back(read(body, std::move(user), {}));
  body.finish();
  prepare(asks);
  for (Ask& ask : asks) search(ask);
  HttpResponse response;
  response.body = "{\"results\":[";
  for (const Ask& ask : asks) {
    if (&ask != asks.data()) response.body += ',';
    response.body += head_of(*ask.model) + "\"user\":";
    append_text(response.body, ask.user);
    response.body += ',';
    if (ask.failed)
      response.body += "\"error\":" + Json::parse(ask.failed->body)["error"].dump();
    else
      append_items(response.body, ask.found.items);
    response.body += '}';
  }
  response.body += "]}\n";
  return response;
}

}  // namespace retort
