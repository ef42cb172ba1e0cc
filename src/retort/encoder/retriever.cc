#include "retort/encoder/retriever.h"

#include <algorithm>
#include <numeric>

#include "retort/common/error.h"
#include "retort/encoder/features.h"

namespace retort {
namespace {

/// Best first; items of one score stay as they were: those of the bundle by their position.
void sort_and_cut(std::vector<Retrieval::Item>& items, int32_t k) {
  const auto better = [](const Retrieval::Item& a, const Retrieval::Item& b) {
    return a.score > b.score;
  };
  if (!std::is_sorted(items.begin(), items.end(), better))
    std::stable_sort(items.begin(), items.end(), better);
  if (std::ssize(items) > k) items.resize(static_cast<size_t>(k));
}

}  // namespace

Json to_json(const Retrieval& retrieval) {
  Json items = Json::array();
  for (const Retrieval::Item& item : retrieval.items)
    items.push_back({{"id", item.id}, {"score", item.score}});
  return {{"version", retrieval.version}, {"items", items}};
}

Retriever::Retriever(const Bundle& bundle, std::unique_ptr<ItemIndex> index)
    : bundle_(bundle),
      encoder_(bundle.spec(), bundle.weights()),
      index_(index != nullptr ? std::move(index) : bundle.open_index()) {
  if (const BundleTeacher* teacher = bundle.teacher())
    ranker_.emplace(teacher->spec(), teacher->weights());
}

std::vector<float> Retriever::encode(const SideBatch& users, std::optional<double> fusion,
                                     const std::vector<double>& shares) const {
  const int64_t width = encoder_.dim(), dim = bundle_.vector_dim();
  std::vector<float> vectors(static_cast<size_t>(users.rows * width));
  if (!shares.empty())
    encoder_.encode_users(users, shares, vectors);
  else if (fusion)
    encoder_.encode_users(users, *fusion, vectors);
  else
    encoder_.encode_users(users, vectors);
  if (dim == width) return vectors;
  std::vector<float> longer(static_cast<size_t>(users.rows * dim), 1.0f);
  for (int64_t row = 0; row < users.rows; ++row)
    std::copy_n(vectors.data() + row * width, width, longer.data() + row * dim);
  return longer;
}

Retrieval Retriever::retrieve(std::string_view user, const RetrieveOptions& options) const {
  const auto found = bundle_.find_user(user);
  if (!found)
    fail<DataError>("user '{}' is not in {}; describe a new user with --features FILE.json", user,
                    bundle_.folder().string());
  const int32_t row = *found;
  const std::vector<float> query =
      encode(bundle_.user_features(std::span(&row, 1)), options.fusion, options.shares);
  return search(query, bundle_.seen_items(row), options);
}

Retrieval Retriever::retrieve_described(const Json& features,
                                        const RetrieveOptions& options) const {
  const RawUser user = raw_user(bundle_, features);
  return search(encode(user.features, options.fusion, options.shares), user.seen, options);
}

ItemFilter Retriever::allowed(std::span<const int32_t> seen, const RetrieveOptions& options) const {
  ItemFilter filter;
  if (!options.where.empty()) filter = filter_items(options.where, bundle_.attributes());
  filter.intersect(bundle_.candidates());
  if (options.overlay != nullptr) options.overlay->hide(filter);
  const bool excludes = (options.exclude_seen && !seen.empty()) || !options.exclude.empty();
  if (excludes && filter.bits.empty()) filter = ItemFilter::all(bundle_.items());
  if (options.exclude_seen)
    for (const int32_t item : seen) filter.forbid(item);
  for (const std::string& key : options.exclude)
    if (const auto item = bundle_.find_item(key)) filter.forbid(*item);
  return filter;
}

std::vector<Retrieval::Item> Retriever::named(std::span<const SearchHit> hits) const {
  std::vector<Retrieval::Item> items;
  items.reserve(hits.size());
  for (const SearchHit& hit : hits)
    items.push_back({std::string(bundle_.item_keys()[hit.item]), hit.score});
  return items;
}

Retrieval Retriever::search(std::span<const float> query, std::span<const int32_t> seen,
                            const RetrieveOptions& options) const {
  if (options.k < 1) fail<ConfigError>("k = {}: at least one item must be asked for", options.k);
  ItemFilter filter = allowed(seen, options);
  const bool alive_first = options.prefer_alive && !bundle_.alive().bits.empty();
  ItemFilter first = filter;
  if (alive_first) first.intersect(bundle_.alive());
  Retrieval retrieval{bundle_.version(), named(index_->search(query, options.k, first))};
  std::vector<Retrieval::Item>& items = retrieval.items;
  if (options.overlay != nullptr) {
    std::vector<std::string> exclude = options.exclude;
    if (options.exclude_seen)
      for (const int32_t item : seen) exclude.emplace_back(bundle_.item_keys()[item]);
    for (ItemOverlay::Hit& hit : options.overlay->search(query, options.k, options.where, exclude))
      items.push_back({std::move(hit.id), hit.score});
  }
  sort_and_cut(items, options.k);

  const auto missing = options.k - static_cast<int32_t>(items.size());
  if (alive_first && missing > 0) {
    if (filter.bits.empty()) filter = ItemFilter::all(bundle_.items());
    bundle_.alive().each(0, bundle_.items(), [&](int32_t item) { filter.forbid(item); });
    const std::vector<Retrieval::Item> others = named(index_->search(query, missing, filter));
    items.insert(items.end(), others.begin(), others.end());
    sort_and_cut(items, options.k);
  }
  return retrieval;
}

VectorSource user_vectors(const Bundle& bundle, const Retriever& retriever) {
  return {bundle.user_keys(), bundle.vector_dim(),
          [&bundle, &retriever](int64_t begin, int64_t end, std::span<float> out) {
            std::vector<int32_t> rows(static_cast<size_t>(end - begin));
            std::iota(rows.begin(), rows.end(), static_cast<int32_t>(begin));
            const std::vector<float> vectors = retriever.encode(bundle.user_features(rows));
            std::copy(vectors.begin(), vectors.end(), out.begin());
          }};
}

VectorSource item_vectors(const Bundle& bundle) {
  return {bundle.item_keys(), bundle.vector_dim(),
          [&bundle](int64_t begin, int64_t end, std::span<float> out) {
            const int64_t dim = bundle.vector_dim();
            const auto rows = bundle.item_vectors().subspan(
                static_cast<size_t>(begin * dim), static_cast<size_t>((end - begin) * dim));
            std::copy(rows.begin(), rows.end(), out.begin());
          }};
}

}  // namespace retort
