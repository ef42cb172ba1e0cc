#include "retort/server/retrieve_api.h"

#include <algorithm>
#include <map>
#include <optional>
#include <random>

#include "retort/encoder/features.h"
#include "retort/encoder/user_events.h"
#include "retort/server/candidate_json.h"
#include "retort/server/channel_lists.h"

namespace retort {
namespace {

/// Enough for what other channels have taken: a search for each of the history need not be as deep
/// as the answer.
int32_t similar_depth(const RetrieveRequest& request) {
  const int32_t depth = request.depth();
  const int32_t quota = request.quotas.places(depth)[static_cast<size_t>(Channel::kSimilar)];
  return std::min(depth, 2 * quota + 10);
}

/// Ids that the process gives must not be those of another one, or of this one's next start.
uint64_t seed_of_ids() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

}  // namespace

struct RetrieveApi::Ask {
  RetrieveRequest request;
  bool stranger = false;  // nobody knows them: only popular items
  RawUser known{};
  std::vector<std::string> clicked{};  // as the store of users has them, newest first
  std::vector<float> query{};
  std::vector<Candidate> found{};
  std::optional<HttpResponse> failed{};
};

RetrieveApi::RetrieveApi(const RetrieveParts& parts, RetrieveLimits limits,
                         RetrieveDefaults defaults)
    : parts_(parts), limits_(limits), defaults_(defaults), ids_(seed_of_ids(), "request ids") {
  for (size_t i = 0; i < kChannels; ++i) {
    const std::map<std::string, std::string> label{{"channel", std::string(kChannelNames[i])}};
    items_[i] = &parts.metrics.counter("retort_channel_items_total",
                                       "items of answers by the channel that gave them", label);
    short_[i] = &parts.metrics.counter("retort_channel_short_total",
                                       "places of a channel's quota that it could not fill", label);
  }
  explored_ = &parts.metrics.counter("retort_explored_slots_total", "positions drawn at random");
}

RetrieveApi::Ask RetrieveApi::read(Body& body, std::string user, Json features) const {
  return {
      read_request(body, std::move(user), std::move(features), parts_.models, limits_, defaults_)};
}

/// From the bundle, the store of users, or the features of the request, which stand over either.
RawUser RetrieveApi::known_user(const Ask& ask, const StoredUser* stored) const {
  const RetrieveRequest& request = ask.request;
  const Bundle& bundle = request.model->bundle();
  if (stored != nullptr && !request.user.empty() && (stored->features || !stored->events.empty()))
    return user_after(bundle, request.user, stored->features.value_or(Json()), stored->events,
                      system_now(), live_features(), request.features);
  if (!request.features.is_null()) return raw_user(bundle, request.features);
  const auto row = request.user.empty() ? std::nullopt : bundle.find_user(request.user);
  if (!row) throw HttpError(404, "nobody knows this user: give 'features', or POST events first");
  const auto seen = bundle.seen_items(*row);
  return {bundle.user_features(std::span(&*row, 1)), {seen.begin(), seen.end()}};
}

/// Fills `known`. Whom nobody knows is served by the popular channel, if it is asked for.
void RetrieveApi::find_users(std::span<Ask*> asks) const {
  std::vector<std::string> keys;
  if (parts_.users != nullptr)
    for (const Ask* ask : asks) keys.push_back(ask->request.user);
  const std::vector<StoredUser> stored =
      keys.empty() ? std::vector<StoredUser>() : parts_.users->find(keys);
  for (size_t i = 0; i < asks.size(); ++i) {
    Ask& ask = *asks[i];
    try {
      ask.known = known_user(ask, stored.empty() ? nullptr : &stored[i]);
      if (!stored.empty() && ask.request.wants(Channel::kSimilar))
        for (const UserEvent& event : stored[i].events)
          if (event.clicked && event.stream.empty()) ask.clicked.push_back(event.item);
      RetrieveOptions& options = ask.request.options;
      if (options.exclude_seen)
        options.exclude.insert(options.exclude.end(), ask.known.seen_others.begin(),
                               ask.known.seen_others.end());
    } catch (const HttpError& error) {
      ask.stranger = error.status() == 404 && ask.request.wants(Channel::kPopular);
      if (!ask.stranger) ask.failed = error_response(error);
    } catch (const std::exception& error) {
      ask.failed = error_response(error);
    }
  }
}

/// What the bundle does not know of an item, a live one's PUT may have said.
ItemLookup RetrieveApi::live_features() const {
  return [this](const std::string& id) {
    const auto record = parts_.items.find(id);
    return record && !record->deleted ? record->features : Json();
  };
}

/// One product for all asks of one model that ask for no fusion of their own.
void RetrieveApi::encode(std::span<Ask*> asks) const {
  std::map<const ServedModel*, std::vector<Ask*>> groups;
  for (Ask* ask : asks) {
    if (ask->failed || ask->stranger) continue;
    const ServedModel* model = ask->request.model.get();
    if (ask->request.options.shares.empty()) {
      groups[model].push_back(ask);
    } else {
      const auto start = SteadyClock::now();
      ask->query = model->retriever().encode(ask->known.features, {}, ask->request.options.shares);
      parts_.metrics.tower_seconds().Observe(seconds_since(start));
    }
  }
  for (const auto& [model, group] : groups) {
    SideBatch users;
    for (const Ask* ask : group) append_row(users, ask->known.features);
    const auto start = SteadyClock::now();
    const std::vector<float> vectors = model->retriever().encode(users);
    parts_.metrics.tower_seconds().Observe(seconds_since(start));
    parts_.metrics.batch_size().Observe(static_cast<double>(group.size()));
    const auto dim = static_cast<size_t>(model->bundle().vector_dim());
    for (size_t i = 0; i < group.size(); ++i)
      group[i]->query.assign(vectors.begin() + static_cast<ptrdiff_t>(i * dim),
                             vectors.begin() + static_cast<ptrdiff_t>((i + 1) * dim));
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

/// As long as the answer: what one channel gives may be what others would have given.
ChannelLists RetrieveApi::channels_of(Ask& ask) const {
  const RetrieveRequest& request = ask.request;
  const ServedModel& model = *request.model;
  RetrieveOptions options = request.options;
  options.k = request.depth();
  ChannelLists lists;
  if (!ask.stranger) {
    lists[static_cast<size_t>(Channel::kPersonal)] =
        model.retriever().search(ask.query, ask.known.seen, options).items;
    if (request.wants(Channel::kSimilar))
      lists[static_cast<size_t>(Channel::kSimilar)] =
          similar_items(model, recent_items(model.bundle(), ask.clicked, ask.known), ask.known.seen,
                        options, similar_depth(request));
  }
  if (request.wants(Channel::kPopular))
    lists[static_cast<size_t>(Channel::kPopular)] =
        popular_items(model, parts_.popularity, request.window, ask.known.seen, options, options.k);
  return lists;
}

void RetrieveApi::search(Ask& ask) const {
  if (ask.failed) return;
  try {
    const auto start = SteadyClock::now();
    RetrieveRequest& request = ask.request;
    ChannelLists lists = channels_of(ask);
    std::array<int32_t, kChannels> places_short{};
    ask.found = request.quotas.asked ? merge_channels(std::move(lists), request.quotas,
                                                      request.depth(), &places_short)
                                     : personal_candidates(std::move(lists[0]));
    const bool logs = parts_.exposures != nullptr && request.logged;
    if (request.id.empty() && (logs || request.exploration.slots > 0)) request.id = next_id();
    if (request.exploration.slots > 0)
      explore(ask.found, request.options.k, request.exploration, draws_of(request.id));
    parts_.metrics.search_seconds().Observe(seconds_since(start));
    std::array<int32_t, kChannels> given{};
    for (const Candidate& item : ask.found) ++given[static_cast<size_t>(item.channel)];
    for (size_t i = 0; i < kChannels; ++i) {
      if (given[i] > 0) items_[i]->Increment(given[i]);
      if (places_short[i] > 0) short_[i]->Increment(places_short[i]);
    }
    if (request.exploration.slots > 0) explored_->Increment(request.exploration.slots);
  } catch (const std::exception& error) {
    ask.failed = error_response(error);
  }
}

/// 32 digits; a bijection of how many there were before, so that none comes twice.
std::string RetrieveApi::next_id() const {
  const auto block = ids_.block(asked_++);
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", block[0], block[1], block[2], block[3]);
}

/// {"model":"m","version":1,"request_id":"..","user":"..","items":[..]}
void RetrieveApi::append_answer(std::string& json, const Ask& ask, const std::string& user) const {
  const RetrieveRequest& request = ask.request;
  json += "{\"model\":";
  append_text(json, request.model->name());
  json += fmt::format(",\"version\":{},", request.model->version());
  if (!request.id.empty()) {
    json += "\"request_id\":";
    append_text(json, request.id);
    json += ',';
  }
  if (!user.empty()) {
    json += "\"user\":";
    append_text(json, user);
    json += ',';
  }
  if (ask.failed)
    json += "\"error\":" + Json::parse(ask.failed->body)["error"].dump();
  else
    append_items(json, ask.found,
                 {.channels = request.quotas.asked, .propensity = request.exploration.slots > 0});
  json += '}';
}

/// Takes the items with it.
void RetrieveApi::log(Ask& ask) const {
  RetrieveRequest& request = ask.request;
  if (parts_.exposures == nullptr || !request.logged || ask.failed) return;
  parts_.exposures->add({.request = std::move(request.id),
                         .time = system_now(),
                         .user = std::move(request.user),
                         .model = request.model->name(),
                         .version = request.model->version(),
                         .arm = std::move(request.arm),
                         .items = std::move(ask.found)});
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
      if (ask.request.user.empty() && ask.request.features.is_null() &&
          !ask.request.wants(Channel::kPopular))
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
    append_answer(response.body, asks[i], "");
    response.body += '\n';
    log(asks[i]);  // before the answer, so that what it leads to is later
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
  for (std::string& user : users) {
    Ask ask = read(body, std::move(user), {});
    if (!ask.request.id.empty()) ask.request.id += fmt::format(".{}", asks.size());
    asks.push_back(std::move(ask));
  }
  body.finish();
  prepare(asks);
  for (Ask& ask : asks) search(ask);
  HttpResponse response;
  response.body = "{\"results\":[";
  for (Ask& ask : asks) {
    if (&ask != asks.data()) response.body += ',';
    append_answer(response.body, ask, ask.request.user);
    log(ask);
  }
  response.body += "]}\n";
  return response;
}

}  // namespace retort
