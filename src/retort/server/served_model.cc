#include "retort/server/served_model.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "retort/bundle/bundle_format.h"
#include "retort/common/error.h"
#include "retort/server/bundle_popularity.h"

namespace retort {
namespace {

constexpr int64_t kWarmUpUsers = 64;
/// Of the recall that the index had when it was published: quantised tables miss a few items more,
/// a wrong model most.
constexpr double kLeastSmokeRecall = 0.8;

double published_recall(const Bundle& bundle) {
  return bundle.manifest().value(Json::json_pointer("/index/recall/value"), 1.0);
}

}  // namespace

ServedModel::ServedModel(std::string name, int64_t version, const fs::path& folder,
                         const OpenIndex& open_index)
    : name_(std::move(name)),
      version_(version),
      start_(std::chrono::steady_clock::now()),
      bundle_(folder),
      retriever_(bundle_, open_index ? open_index(bundle_) : nullptr) {
  by_popularity_ = items_by_popularity(bundle_);
  smoke_recall_ = ask_smoke_queries();
  if (smoke_recall_ < kLeastSmokeRecall * published_recall(bundle_))
    fail<DataError>("{}: finds {:.0f}% of what its smoke queries say it should", folder.string(),
                    100 * smoke_recall_);
  warm_up();
  load_seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

/// The pages that answering touches are in memory before the first request.
void ServedModel::warm_up() const {
  const int64_t users = std::min(kWarmUpUsers, bundle_.users());
  for (int64_t i = 0; i < users; ++i)
    retriever_.retrieve(bundle_.user_keys()[static_cast<int32_t>(i * bundle_.users() / users)],
                        RetrieveOptions{});
}

double ServedModel::ask_smoke_queries() const {
  const fs::path path = bundle_.folder() / kSmokeFile;
  if (!fs::exists(path)) return 1;
  const ItemIndex& index = retriever_.index();
  int64_t wanted = 0, found = 0;
  try {
    const Json smoke = Json::parse(read_file(path));
    for (const Json& query : smoke.at("queries")) {
      const auto user = bundle_.find_user(query.at("user").get<std::string>());
      if (!user)
        fail<DataError>("{}: user '{}' is not in the bundle", path.string(),
                        query["user"].get<std::string>());
      const std::vector<float> vector =
          retriever_.encode(bundle_.user_features(std::span(&*user, 1)));
      std::vector<std::string> keys;
      for (const SearchHit& hit :
           index.search(vector, static_cast<int32_t>(query.at("items").size()), {})) {
        if (!std::isfinite(hit.score)) fail<DataError>("{}: a score is not finite", path.string());
        keys.emplace_back(bundle_.item_keys()[hit.item]);
      }
      for (const Json& item : query["items"]) {
        ++wanted;
        found += std::find(keys.begin(), keys.end(), item.get<std::string>()) != keys.end();
      }
    }
  } catch (const nlohmann::json::exception& error) {
    fail<DataError>("{}: {}", path.string(), error.what());
  }
  return wanted == 0 ? 1 : static_cast<double>(found) / static_cast<double>(wanted);
}

}  // namespace retort
