// Selection of the k best scored items with a bounded heap.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace retort {

struct ScoredItem {
  int32_t item = 0;
  float score = 0;
};

/// Order of every ranked list: higher score first, then lower item.
inline bool ranks_before(const ScoredItem& a, const ScoredItem& b) {
  return a.score > b.score || (a.score == b.score && a.item < b.item);
}

/// Keeps the k best of the pushed items; the result does not depend on the order of pushes. A NaN
/// score counts as -infinity.
class TopK {
 public:
  /// Throws ArgumentError if k is negative.
  explicit TopK(int32_t k);
  void push(int32_t item, float score) {
    if (full() && (heap_.empty() || !(score >= heap_.front().score))) return;
    insert({item, score});
  }
  bool full() const { return static_cast<int64_t>(heap_.size()) >= k_; }
  int64_t size() const { return static_cast<int64_t>(heap_.size()); }
  /// The worst score kept; there must be one.
  float worst() const { return heap_.front().score; }
  /// Adds the items kept by another selection.
  void merge(const TopK& other);
  /// Best first; leaves the selection empty.
  std::vector<ScoredItem> take();

 private:
  void insert(ScoredItem entry);
  int64_t k_;
  std::vector<ScoredItem> heap_;  // worst kept item in front
};

/// The k best of scores[0 .. n), item = position + `first`.
std::vector<ScoredItem> top_k(std::span<const float> scores, int32_t k, int32_t first = 0);

}  // namespace retort
