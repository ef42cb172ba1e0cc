#include <algorithm>
#include <cmath>

#include "retort/encoder/features.h"
#include "retort/kernel/dense.h"
#include "retort/server/api.h"
#include "retort/server/body.h"

namespace retort {
namespace {

constexpr int32_t kMostNearest = 100;

/// A user of the bundle, or one who is described.
RawUser find_user(const Bundle& bundle, const std::string& user, const Json& features) {
  if (!features.is_null()) return raw_user(bundle, features);
  const auto row = bundle.find_user(user);
  if (!row) throw HttpError(404, "the bundle does not know this user: give 'features'");
  const auto seen = bundle.seen_items(*row);
  return {bundle.user_features(std::span(&*row, 1)), {seen.begin(), seen.end()}};
}

std::span<const float> vector_of(const Bundle& bundle, int32_t item) {
  const auto dim = static_cast<size_t>(bundle.vector_dim());
  return bundle.item_vectors().subspan(static_cast<size_t>(item) * dim, dim);
}

float product(std::span<const float> a, std::span<const float> b, int64_t width) {
  return dot(a.data(), b.data(), width);
}

/// Items of the history by the cosine of what the tower gave them, without the popularity.
Json nearest_of(const Bundle& bundle, int32_t item, std::span<const int32_t> history,
                int32_t most) {
  const int64_t width = bundle.spec().dim();
  const auto own = vector_of(bundle, item);
  std::vector<std::pair<float, int32_t>> found;
  for (const int32_t other : history) {
    if (other == item) continue;
    const auto vector = vector_of(bundle, other);
    const float norms = std::sqrt(product(own, own, width) * product(vector, vector, width));
    found.emplace_back(norms > 0 ? product(own, vector, width) / norms : 0.0f, other);
  }
  std::sort(found.begin(), found.end(), std::greater<>());
  Json nearest = Json::array();
  for (const auto& [cosine, other] : found) {
    if (std::ssize(nearest) == most) break;
    nearest.push_back({{"id", bundle.item_keys()[other]}, {"cosine", cosine}});
  }
  return nearest;
}

Json attributes_of(const Bundle& bundle, int32_t item) {
  Json attributes = Json::object();
  for (const auto& [name, column] : bundle.attributes().columns()) {
    if (const auto* numbers = std::get_if<NumberAttribute>(&column)) {
      const double value = numbers->values[static_cast<size_t>(item)];
      attributes[name] = std::isnan(value) ? Json() : Json(value);
      continue;
    }
    const auto& texts = std::get<TextAttribute>(column);
    Json values = Json::array();
    for (int64_t at = texts.offsets[static_cast<size_t>(item)];
         at < texts.offsets[static_cast<size_t>(item) + 1]; ++at)
      values.push_back(texts.values[texts.codes[static_cast<size_t>(at)]]);
    attributes[name] = values;
  }
  return attributes;
}

/// The user's vector of each task alone: all shares but its own are 0. Empty for a model of one.
std::vector<std::vector<float>> task_vectors(const ServedModel& model, const SideBatch& user) {
  std::vector<std::vector<float>> vectors;
  if (model.bundle().spec().kind != "multi_task") return vectors;
  const size_t tasks = task_names(model.bundle().spec()).size();
  for (size_t task = 0; task < tasks; ++task) {
    std::vector<double> shares(tasks);
    shares[task] = 1;
    vectors.push_back(model.retriever().encode(user, {}, shares));
  }
  return vectors;
}

HttpResponse explain(const ModelChoice& models, ApiLimits limits, const HttpRequest& request) {
  const Json json = parse_object(request.body);
  Body body(json);
  std::string user;
  Json features;
  std::vector<std::string> items;
  std::vector<double> shares;
  int32_t most = 3;
  body.read("user", user);
  body.read("features", features);
  body.read("items", items);
  body.read("fusion", shares);
  body.read("nearest", most);
  const auto model = models.choose(body, user);
  body.finish();
  if (items.empty() || std::ssize(items) > limits.rows)
    throw HttpError(
        400, fmt::format("'items' names {} items, expected 1 to {}", items.size(), limits.rows));
  if (most < 0 || most > kMostNearest)
    throw HttpError(400, fmt::format("'nearest' is {}, expected 0 to {}", most, kMostNearest));
  const Bundle& bundle = model->bundle();
  if (!shares.empty()) {
    ModelSpec spec = bundle.spec();
    set_shares(spec, shares, "'fusion'");
  }
  const RawUser known = find_user(bundle, user, features);
  const std::vector<float> query = model->retriever().encode(known.features, {}, shares);
  const auto tasks = task_vectors(*model, known.features);
  Json explained = Json::array();
  for (const std::string& id : items) {
    const auto item = bundle.find_item(id);
    if (!item) throw HttpError(404, fmt::format("the bundle has no item '{}'", id.substr(0, 64)));
    const auto vector = vector_of(bundle, *item);
    Json one{{"id", id}, {"score", product(query, vector, bundle.vector_dim())}};
    for (size_t task = 0; task < tasks.size(); ++task)
      one["tasks"][task_names(bundle.spec())[task]] =
          product(tasks[task], vector, bundle.spec().dim());
    if (bundle.vector_dim() > bundle.spec().dim()) one["popularity"] = vector.back();
    one["attributes"] = attributes_of(bundle, *item);
    one["nearest"] = nearest_of(bundle, *item, known.seen, most);
    explained.push_back(std::move(one));
  }
  return json_response(
      {{"model", model->name()}, {"version", model->version()}, {"items", explained}});
}

}  // namespace

void add_explain_routes(Router& router, const ModelChoice& models, ApiLimits limits) {
  router.add({"POST", "/v1/explain", Scope::kRetrieve, Lane::kSlow,
              [&models, limits](const HttpRequest& request, const PathValues&) {
                return explain(models, limits, request);
              }});
}

}  // namespace retort
