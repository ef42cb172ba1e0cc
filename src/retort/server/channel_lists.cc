#include "retort/server/channel_lists.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "retort/kernel/dense.h"

namespace retort {
namespace {

/// So many more are found by inner product, for the cosine to choose from.
constexpr int32_t kForCosine = 20;

/// What exclude_seen and exclude name, as the overlay knows items.
std::unordered_set<std::string> excluded_ids(const Bundle& bundle, std::span<const int32_t> seen,
                                             const RetrieveOptions& options) {
  std::unordered_set<std::string> ids(options.exclude.begin(), options.exclude.end());
  if (options.exclude_seen)
    for (const int32_t item : seen) ids.emplace(bundle.item_keys()[item]);
  return ids;
}

/// Of the ranking the first k that are allowed, by place in it.
std::vector<Retrieval::Item> ranked_items(const ServedModel& model, const ItemFilter& allowed,
                                          const TrailingPopularity::Ranking& ranking,
                                          std::span<const int32_t> seen,
                                          const RetrieveOptions& options, int32_t k) {
  const Bundle& bundle = model.bundle();
  std::vector<size_t> places;       // in the ranking
  std::vector<std::string> others;  // not of the bundle, or no longer
  std::unordered_map<std::string_view, size_t> place_of;
  for (size_t i = 0; i < ranking.size() && std::ssize(places) < k; ++i) {
    const auto item = bundle.find_item(ranking[i].first);
    if (item && allowed.allows(*item)) {
      places.push_back(i);
    } else if (options.overlay != nullptr) {
      others.push_back(ranking[i].first);
      place_of[ranking[i].first] = i;
    }
  }
  if (!others.empty()) {
    const auto excluded = excluded_ids(bundle, seen, options);
    for (const ItemOverlay::Own& own : options.overlay->find(others, options.where))
      if (!excluded.contains(own.id)) places.push_back(place_of.at(own.id));
    std::sort(places.begin(), places.end());
  }
  std::vector<Retrieval::Item> items;
  for (const size_t place : places) {
    if (std::ssize(items) == k) break;
    items.push_back({ranking[place].first, static_cast<float>(ranking[place].second)});
  }
  return items;
}

/// Vectors of items by id, without the popularity dimension, of length 1.
class Directions {
 public:
  Directions(const ServedModel& model, std::span<const std::string> ids)
      : width_(model.bundle().spec().dim()) {
    const Bundle& bundle = model.bundle();
    if (model.overlay() != nullptr)
      for (const ItemOverlay::Own& own : model.overlay()->find(ids, ""))
        add(own.id, own.vector.data());
    for (const std::string& id : ids)
      if (const auto item = bundle.find_item(id); item && !vectors_.contains(id))
        add(id, bundle.item_vectors().data() + int64_t{*item} * bundle.vector_dim());
  }
  /// Null where nobody knows the item, or its vector is 0.
  const std::vector<float>* find(const std::string& id) const {
    const auto at = vectors_.find(id);
    return at == vectors_.end() ? nullptr : &at->second;
  }
  float cosine(const std::vector<float>& a, const std::vector<float>& b) const {
    return dot(a.data(), b.data(), width_);
  }

 private:
  void add(const std::string& id, const float* vector) {
    const float norm = std::sqrt(dot(vector, vector, width_));
    if (!(norm > 0)) return;
    std::vector<float>& direction = vectors_[id];
    direction.assign(vector, vector + width_);
    for (float& x : direction) x /= norm;
  }
  int64_t width_;
  std::unordered_map<std::string, std::vector<float>> vectors_;
};

}  // namespace

std::vector<Retrieval::Item> popular_items(const ServedModel& model, TrailingPopularity& popularity,
                                           int64_t window, std::span<const int32_t> seen,
                                           const RetrieveOptions& options, int32_t k) {
  const ItemFilter allowed = model.retriever().allowed(seen, options);
  const auto ranking = popularity.ranking(window);
  std::vector<Retrieval::Item> items = ranked_items(model, allowed, *ranking, seen, options, k);
  std::unordered_set<std::string> there;
  for (const Retrieval::Item& item : items) there.insert(item.id);
  for (const int32_t item : model.by_popularity()) {
    if (std::ssize(items) == k) break;
    if (!allowed.allows(item)) continue;
    std::string id(model.bundle().item_keys()[item]);
    if (!there.contains(id)) items.push_back({std::move(id), 0});
  }
  return items;
}

std::vector<Retrieval::Item> similar_items(const ServedModel& model,
                                           std::span<const std::string> history,
                                           std::span<const int32_t> seen,
                                           const RetrieveOptions& options, int32_t k) {
  RetrieveOptions near = options;
  near.k = k + kForCosine;
  near.exclude.insert(near.exclude.end(), history.begin(), history.end());
  const Directions of_history(model, history);
  std::unordered_set<std::string> found;
  for (const std::string& id : history) {
    const std::vector<float>* direction = of_history.find(id);
    if (direction == nullptr) continue;
    std::vector<float> query = *direction;
    query.resize(static_cast<size_t>(model.bundle().vector_dim()));  // 0 for the popularity
    for (Retrieval::Item& item : model.retriever().search(query, seen, near).items)
      found.insert(std::move(item.id));
  }
  const std::vector<std::string> ids(found.begin(), found.end());
  const Directions of_found(model, ids);
  std::vector<Retrieval::Item> items;
  for (const std::string& id : ids) {
    const std::vector<float>* direction = of_found.find(id);
    if (direction == nullptr) continue;
    float best = -1;
    for (const std::string& of : history)
      if (const std::vector<float>* other = of_history.find(of))
        best = std::max(best, of_found.cosine(*direction, *other));
    items.push_back({id, best});
  }
  std::sort(items.begin(), items.end(), [](const Retrieval::Item& a, const Retrieval::Item& b) {
    return a.score != b.score ? a.score > b.score : a.id < b.id;
  });
  if (std::ssize(items) > k) items.resize(static_cast<size_t>(k));
  return items;
}

std::vector<std::string> recent_items(const Bundle& bundle, std::span<const std::string> clicked,
                                      const RawUser& user) {
  std::vector<std::string> recent;
  const auto add = [&](std::string_view id) {
    if (!id.empty() && recent.size() < kSimilarTo &&
        std::find(recent.begin(), recent.end(), id) == recent.end())
      recent.emplace_back(id);
  };
  for (const std::string& id : clicked) add(id);
  const Schema& schema = bundle.schema();
  const std::vector<int> sparse = schema.sparse_of(Side::kUser);
  for (size_t i = 0; i < sparse.size(); ++i) {
    const FeatureSpec& spec = schema.features[static_cast<size_t>(sparse[i])];
    if (!lists_item_keys(schema, spec) || !bundle.counts_as_seen(spec.stream)) continue;
    const Vocabulary& keys = bundle.vocabulary(spec.vocabulary);
    for (const int32_t row : user.features.sparse[i].ids) add(keys.text(row));
  }
  if (recent.empty())
    for (size_t i = 0; i < kSimilarTo && i < user.seen.size(); ++i)
      add(bundle.item_keys()[user.seen[i * user.seen.size() /
                                       std::min(kSimilarTo, user.seen.size())]]);
  return recent;
}

}  // namespace retort
