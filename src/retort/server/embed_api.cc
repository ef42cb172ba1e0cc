#include "retort/encoder/features.h"
#include "retort/encoder/item_features.h"
#include "retort/server/api.h"

namespace retort {
namespace {

void check_rows(int64_t rows, const char* keys, ApiLimits limits) {
  if (rows < 1 || rows > limits.rows)
    throw HttpError(400, fmt::format("{} hold {} rows, expected 1 to {}", keys, rows, limits.rows));
}

std::vector<Json> read_list(Body& body, const char* key) {
  Json list = Json::array();
  body.read(key, list);
  if (!list.is_array()) throw HttpError(400, fmt::format("'{}' must be a list of objects", key));
  return {list.begin(), list.end()};
}

HttpResponse vectors_response(const ServedModel& model, std::span<const float> vectors) {
  const auto dim = static_cast<size_t>(model.bundle().vector_dim());
  Json rows = Json::array();
  for (size_t at = 0; at < vectors.size(); at += dim)
    rows.push_back(std::vector<float>(vectors.begin() + static_cast<ptrdiff_t>(at),
                                      vectors.begin() + static_cast<ptrdiff_t>(at + dim)));
  return json_response(
      {{"model", model.name()}, {"version", model.version()}, {"dim", dim}, {"vectors", rows}});
}

HttpResponse embed_users(const ModelChoice& models, ApiLimits limits, const HttpRequest& request) {
  const Json json = parse_object(request.body);
  Body body(json);
  std::vector<std::string> users;
  body.read("users", users);
  const std::vector<Json> described = read_list(body, "features");
  const auto model = models.choose(body, users.empty() ? "" : users.front());
  std::vector<double> shares;
  if (body.read("fusion", shares)) {
    ModelSpec spec = model->bundle().spec();
    set_shares(spec, shares, "'fusion'");
  }
  body.finish();
  check_rows(std::ssize(users) + std::ssize(described), "'users' and 'features'", limits);
  std::vector<int32_t> rows;
  for (const std::string& user : users) {
    const auto row = model->bundle().find_user(user);
    if (!row)
      throw HttpError(
          404, fmt::format("user '{}' is not in the bundle: give 'features'", user.substr(0, 64)));
    rows.push_back(*row);
  }
  const auto encode = [&](const SideBatch& batch) {
    return model->retriever().encode(batch, {}, shares);
  };
  std::vector<float> vectors;
  if (!rows.empty()) vectors = encode(model->bundle().user_features(rows));
  for (const Json& features : described) {
    const std::vector<float> vector = encode(raw_user(model->bundle(), features).features);
    vectors.insert(vectors.end(), vector.begin(), vector.end());
  }
  return vectors_response(*model, vectors);
}

HttpResponse embed_items(const ModelChoice& models, ApiLimits limits, const HttpRequest& request) {
  const Json json = parse_object(request.body);
  Body body(json);
  std::vector<std::string> items;
  body.read("items", items);
  const std::vector<Json> described = read_list(body, "features");
  const auto model = models.choose(body, "");
  body.finish();
  check_rows(std::ssize(items) + std::ssize(described), "'items' and 'features'", limits);
  const Bundle& bundle = model->bundle();
  const auto dim = static_cast<size_t>(bundle.vector_dim());
  std::vector<float> vectors;
  for (const std::string& item : items) {
    const auto row = bundle.find_item(item);
    if (!row)
      throw HttpError(
          404, fmt::format("item '{}' is not in the bundle: give 'features'", item.substr(0, 64)));
    const auto vector = bundle.item_vectors().subspan(static_cast<size_t>(*row) * dim, dim);
    vectors.insert(vectors.end(), vector.begin(), vector.end());
  }
  std::vector<RawItem> raw;
  for (const Json& features : described)
    raw.push_back(raw_item(bundle, "", features, system_now()));
  std::vector<const RawItem*> pointers;
  for (const RawItem& item : raw) pointers.push_back(&item);
  if (!raw.empty()) {
    const std::vector<float> made = encode_items(bundle, model->retriever().encoder(), pointers);
    vectors.insert(vectors.end(), made.begin(), made.end());
  }
  return vectors_response(*model, vectors);
}

}  // namespace

void add_embed_routes(Router& router, const ModelChoice& models, ApiLimits limits) {
  router.add({"POST", "/v1/embed/users", Scope::kRetrieve, Lane::kSlow,
              [&models, limits](const HttpRequest& request, const PathValues&) {
                return embed_users(models, limits, request);
              }});
  router.add({"POST", "/v1/embed/items", Scope::kRetrieve, Lane::kSlow,
              [&models, limits](const HttpRequest& request, const PathValues&) {
                return embed_items(models, limits, request);
              }});
}

}  // namespace retort
