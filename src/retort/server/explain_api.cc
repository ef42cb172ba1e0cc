#include <algorithm>
#include <cmath>
#include <optional>

#include "retort/encoder/features.h"
#include "retort/encoder/item_features.h"
#include "retort/encoder/ranked_pairs.h"
#include "retort/encoder/user_events.h"
#include "retort/kernel/dense.h"
#include "retort/server/api.h"
#include "retort/server/body.h"

namespace retort {
namespace {

constexpr int32_t kMostNearest = 100;

/// A user as retrieval sees them.
struct ExplainedUser {
  RawUser known;
  std::optional<int32_t> row;     // in the bundle
  std::vector<UserEvent> events;  // posted
  int64_t now = 0;                // as of when `known` is
};

struct ExplainedItem {
  std::string id;
  std::optional<int32_t> row;  // in the bundle, unless a live one took its place
  std::optional<RawItem> live;
  std::vector<float> vector;
};

class Explainer {
 public:
  Explainer(const ServedModel& model, FeatureStore* users, const LiveItems& items)
      : model_(model), bundle_(model.bundle()), users_(users), items_(items) {}

  ExplainedUser find_user(const std::string& user, const Json& features) const {
    ExplainedUser found;
    StoredUser stored;
    if (users_ != nullptr && !user.empty()) stored = users_->find(user);
    if (!user.empty()) found.row = bundle_.find_user(user);
    found.now = bundle_.moment();
    if (stored.features || !stored.events.empty()) {
      found.now = system_now();
      found.known = user_after(
          bundle_, user, stored.features.value_or(Json()), stored.events, found.now,
          [&](const std::string& id) { return features_of(id); }, features);
      found.events = std::move(stored.events);
    } else if (!features.is_null()) {
      found.known = raw_user(bundle_, features);
    } else if (found.row) {
      const auto seen = bundle_.seen_items(*found.row);
      found.known = {bundle_.user_features(std::span(&*found.row, 1)), {seen.begin(), seen.end()}};
    } else {
      throw HttpError(404, "nobody knows this user: give 'features', or POST events first");
    }
    return found;
  }

  std::vector<ExplainedItem> find_items(const std::vector<std::string>& ids) const {
    std::vector<ItemOverlay::Own> own;
    if (model_.overlay() != nullptr) own = model_.overlay()->find(ids, "");
    std::vector<ExplainedItem> found;
    auto live = own.begin();
    for (const std::string& id : ids) {
      ExplainedItem& item = found.emplace_back(ExplainedItem{id, bundle_.find_item(id), {}, {}});
      if (live != own.end() && live->id == id) {
        item.row.reset();
        item.live = raw_item(bundle_, id, features_of(id), system_now(), UnknownNames::kIgnore);
        item.vector = std::move((live++)->vector);
      } else if (item.row) {
        const auto vector = vector_of(*item.row);
        item.vector.assign(vector.begin(), vector.end());
      } else {
        throw HttpError(404, fmt::format("nobody knows the item '{}'", id.substr(0, 64)));
      }
    }
    return found;
  }

  /// Items of the history by the cosine of what the tower gave them, without the popularity.
  Json nearest(const ExplainedItem& item, std::span<const int32_t> history, int32_t most) const {
    const int64_t width = bundle_.spec().dim();
    const float* own = item.vector.data();
    std::vector<std::pair<float, int32_t>> found;
    for (const int32_t other : history) {
      if (item.row == other) continue;
      const float* vector = vector_of(other).data();
      const float norms = std::sqrt(dot(own, own, width) * dot(vector, vector, width));
      found.emplace_back(norms > 0 ? dot(own, vector, width) / norms : 0.0f, other);
    }
    std::sort(found.begin(), found.end(), std::greater<>());
    Json nearest = Json::array();
    for (const auto& [cosine, other] : found) {
      if (std::ssize(nearest) == most) break;
      nearest.push_back({{"id", bundle_.item_keys()[other]}, {"cosine", cosine}});
    }
    return nearest;
  }

  Json attributes(const ExplainedItem& item) const {
    Json attributes = Json::object();
    size_t place = 0;
    for (const auto& [name, column] : bundle_.attributes().columns()) {
      const AttributeValue value =
          item.row ? attribute(column, *item.row) : item.live->attributes[place];
      ++place;
      if (const auto* number = std::get_if<double>(&value))
        attributes[name] = std::isnan(*number) ? Json() : Json(*number);
      else
        attributes[name] = std::get<std::vector<std::string>>(value);
    }
    return attributes;
  }

  /// The user's vector of each task alone: all shares but its own are 0. Empty for a model of one.
  std::vector<std::vector<float>> task_vectors(const SideBatch& user) const {
    std::vector<std::vector<float>> vectors;
    if (bundle_.spec().kind != "multi_task") return vectors;
    const size_t tasks = task_names(bundle_.spec()).size();
    for (size_t task = 0; task < tasks; ++task) {
      std::vector<double> shares(tasks);
      shares[task] = 1;
      vectors.push_back(model_.retriever().encode(user, {}, shares));
    }
    return vectors;
  }

  /// What the teacher says of each; nothing where the bundle has none, or where it counts what the
  /// user did before and nobody knows that.
  std::vector<RankedPair> rank(const ExplainedUser& user,
                               std::span<const ExplainedItem> items) const {
    const Ranker* ranker = model_.retriever().ranker();
    if (ranker == nullptr) return {};
    if (ranker->spec().sees_pairs() && !user.row && user.events.empty()) return {};
    std::vector<PairItem> pairs;
    for (const ExplainedItem& item : items)
      pairs.push_back({item.id, item.row, item.live ? &item.live->features : nullptr});
    return rank_pairs(bundle_, *ranker, {user.known.features, user.row, user.events}, pairs,
                      user.now);
  }

 private:
  std::span<const float> vector_of(int32_t item) const {
    const auto dim = static_cast<size_t>(bundle_.vector_dim());
    return bundle_.item_vectors().subspan(static_cast<size_t>(item) * dim, dim);
  }

  /// What a live item's PUT said.
  Json features_of(const std::string& id) const {
    const auto record = items_.find(id);
    return record && !record->deleted ? record->features : Json::object();
  }

  template <class Column>
  static AttributeValue attribute(const Column& column, int32_t item) {
    const auto row = static_cast<size_t>(item);
    if (const auto* numbers = std::get_if<NumberAttribute>(&column)) return numbers->values[row];
    const auto& texts = std::get<TextAttribute>(column);
    std::vector<std::string> values;
    for (int64_t at = texts.offsets[row]; at < texts.offsets[row + 1]; ++at)
      values.emplace_back(texts.values[texts.codes[static_cast<size_t>(at)]]);
    return values;
  }

  const ServedModel& model_;
  const Bundle& bundle_;
  FeatureStore* users_;
  const LiveItems& items_;
};

Json teacher_json(const RankedPair& pair) {
  const auto number = [](const std::optional<double>& value) {
    return value ? Json(*value) : Json();
  };
  Json json{{"pctr", number(pair.pctr)},
            {"pcvr", number(pair.pcvr)},
            {"pctcvr", number(pair.pctcvr)},
            {"tasks", pair.tasks}};
  if (pair.seconds) json["seconds"] = *pair.seconds;
  return json;
}

HttpResponse explain(const ModelChoice& models, FeatureStore* users, const LiveItems& live,
                     ApiLimits limits, const HttpRequest& request) {
  const Json json = parse_object(request.body);
  Body body(json);
  std::string user;
  Json features;
  std::vector<std::string> ids;
  std::vector<double> shares;
  int32_t most = 3;
  body.read("user", user);
  body.read("features", features);
  body.read("items", ids);
  body.read("fusion", shares);
  body.read("nearest", most);
  const auto model = models.choose(body, user);
  body.finish();
  if (ids.empty() || std::ssize(ids) > limits.rows)
    throw HttpError(
        400, fmt::format("'items' names {} items, expected 1 to {}", ids.size(), limits.rows));
  if (most < 0 || most > kMostNearest)
    throw HttpError(400, fmt::format("'nearest' is {}, expected 0 to {}", most, kMostNearest));
  const Bundle& bundle = model->bundle();
  if (!shares.empty()) {
    ModelSpec spec = bundle.spec();
    set_shares(spec, shares, "'fusion'");
  }
  const Explainer explainer(*model, users, live);
  const ExplainedUser known = explainer.find_user(user, features);
  const SideBatch& row = known.known.features;
  const std::vector<float> query = model->retriever().encode(row, {}, shares);
  const auto tasks = explainer.task_vectors(row);
  const std::vector<ExplainedItem> items = explainer.find_items(ids);
  const std::vector<RankedPair> ranked = explainer.rank(known, items);
  Json explained = Json::array();
  for (size_t i = 0; i < items.size(); ++i) {
    const float* vector = items[i].vector.data();
    Json one{{"id", items[i].id}, {"score", dot(query.data(), vector, bundle.vector_dim())}};
    for (size_t task = 0; task < tasks.size(); ++task)
      one["tasks"][task_names(bundle.spec())[task]] =
          dot(tasks[task].data(), vector, bundle.spec().dim());
    if (model->retriever().ranker() != nullptr)
      one["teacher"] = ranked.empty() ? Json() : teacher_json(ranked[i]);
    if (bundle.vector_dim() > bundle.spec().dim()) one["popularity"] = items[i].vector.back();
    one["attributes"] = explainer.attributes(items[i]);
    one["nearest"] = explainer.nearest(items[i], known.known.seen, most);
    explained.push_back(std::move(one));
  }
  return json_response(
      {{"model", model->name()}, {"version", model->version()}, {"items", explained}});
}

}  // namespace

void add_explain_routes(Router& router, const ModelChoice& models, FeatureStore* users,
                        const LiveItems& items, ApiLimits limits) {
  router.add({"POST", "/v1/explain", Scope::kRetrieve, Lane::kSlow,
              [&models, users, &items, limits](const HttpRequest& request, const PathValues&) {
                return explain(models, users, items, limits, request);
              }});
}

}  // namespace retort
