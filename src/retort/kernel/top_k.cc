#include "retort/kernel/top_k.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "retort/common/error.h"

namespace retort {

TopK::TopK(int32_t k) : k_(k) { check(k >= 0, "top-k of {}: k must not be negative", k); }

void TopK::insert(ScoredItem entry) {
  if (std::isnan(entry.score)) entry.score = -std::numeric_limits<float>::infinity();
  if (full()) {
    if (!ranks_before(entry, heap_.front())) return;
    std::pop_heap(heap_.begin(), heap_.end(), ranks_before);
    heap_.back() = entry;
  } else {
    heap_.push_back(entry);
  }
  std::push_heap(heap_.begin(), heap_.end(), ranks_before);
}

void TopK::merge(const TopK& other) {
  for (const ScoredItem& entry : other.heap_) push(entry.item, entry.score);
}

std::vector<ScoredItem> TopK::take() {
  std::sort_heap(heap_.begin(), heap_.end(), ranks_before);
  return std::exchange(heap_, {});
}

std::vector<ScoredItem> top_k(std::span<const float> scores, int32_t k, int32_t first) {
  TopK best(k);
  for (size_t i = 0; i < scores.size(); ++i) best.push(first + static_cast<int32_t>(i), scores[i]);
  return best.take();
}

}  // namespace retort
