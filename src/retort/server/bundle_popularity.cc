#include "retort/server/bundle_popularity.h"

#include <algorithm>
#include <numeric>

namespace retort {
namespace {

std::vector<float> popularities(const Bundle& bundle) {
  std::vector<float> popularity(static_cast<size_t>(bundle.items()));
  const double beta = bundle.spec().beta;
  if (beta != 0) {  // beta * log q stands last
    const auto dim = static_cast<size_t>(bundle.vector_dim());
    for (size_t i = 0; i < popularity.size(); ++i)
      popularity[i] = bundle.item_vectors()[(i + 1) * dim - 1] / static_cast<float>(beta);
    return popularity;
  }
  for (int32_t user = 0; user < bundle.users(); ++user)
    for (const int32_t item : bundle.seen_items(user)) ++popularity[static_cast<size_t>(item)];
  return popularity;
}

}  // namespace

std::vector<int32_t> items_by_popularity(const Bundle& bundle) {
  const std::vector<float> popularity = popularities(bundle);
  const ItemFilter& alive = bundle.alive();  // allows all where nothing is known
  std::vector<int32_t> items(popularity.size());
  std::iota(items.begin(), items.end(), 0);
  std::stable_sort(items.begin(), items.end(), [&](int32_t a, int32_t b) {
    const bool a_alive = alive.allows(a), b_alive = alive.allows(b);
    if (a_alive != b_alive) return a_alive;
    return popularity[static_cast<size_t>(a)] > popularity[static_cast<size_t>(b)];
  });
  return items;
}

}  // namespace retort
