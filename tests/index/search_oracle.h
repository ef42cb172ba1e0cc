// Vectors to search and what a full sort of all products in double precision finds among them.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "retort/common/rng.h"
#include "retort/index/item_index.h"

namespace retort {

inline std::vector<float> random_floats(int64_t count, const char* stream) {
  const Rng rng(11, stream);
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(rng.normal(i));
  return values;
}

/// Small whole numbers: products are exact and ties are many.
inline std::vector<float> random_digits(int64_t count, const char* stream) {
  const Rng rng(11, stream);
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(rng.below(5, i)) - 2;
  return values;
}

inline std::vector<int32_t> items_of(const std::vector<SearchHit>& hits) {
  std::vector<int32_t> items;
  for (const SearchHit& hit : hits) items.push_back(hit.item);
  return items;
}

inline std::vector<int32_t> best_items(std::span<const float> vectors, std::span<const float> query,
                                       int32_t k, const ItemFilter& filter) {
  const auto dim = query.size();
  std::vector<std::pair<double, int32_t>> scored;
  for (size_t item = 0; item * dim < vectors.size(); ++item) {
    double score = 0;
    for (size_t d = 0; d < dim; ++d) score += double{vectors[item * dim + d]} * double{query[d]};
    if (filter.allows(static_cast<int32_t>(item)))
      scored.emplace_back(-score, static_cast<int32_t>(item));
  }
  std::sort(scored.begin(), scored.end());
  std::vector<int32_t> items;
  for (size_t i = 0; i < std::min<size_t>(scored.size(), static_cast<size_t>(k)); ++i)
    items.push_back(scored[i].second);
  return items;
}

inline ItemFilter every(int64_t items, int64_t step) {
  ItemFilter filter = ItemFilter::none(items);
  for (int64_t item = 0; item < items; item += step) filter.allow(static_cast<int32_t>(item));
  return filter;
}

}  // namespace retort
