// Item-to-item co-click: how often two items were clicked by the same users, by cosine. The
// classic baseline that a learned model has to beat.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "retort/dataset/dataset.h"

namespace retort {

struct CoClickOptions {
  int32_t last_trained = 50;  // training clicks of a user that count, the last ones
  int32_t last_scored = 20;   // clicks of a user's past that score an item
  int32_t neighbours = 1000;  // most similar items kept an item; 0 = all
};

/// cosine(i, j) = users with i and j / sqrt(users with i * users with j), over each user's last
/// training clicks; an item is no neighbour of itself. Thread-safe once built.
/// Source: Sarwar et al., "Item-based collaborative filtering", WWW 2001 (binary cosine).
class CoClick {
 public:
  CoClick(const Dataset& dataset, CoClickOptions options);
  /// Sum of the cosines of each item with the distinct items among the user's last clicks
  /// strictly before `time` (without time: the user's training clicks). @param out [items]
  void score(int32_t user, int64_t time, std::span<const int32_t> items,
             std::span<float> out) const;
  struct Neighbour {
    int32_t item;
    float cosine;
  };
  /// By falling cosine, then item.
  std::span<const Neighbour> neighbours(int32_t item) const { return neighbours_[item]; }

 private:
  std::vector<int32_t> recent(int32_t user, int64_t time) const;

  const Dataset& dataset_;
  CoClickOptions options_;
  std::vector<std::vector<Neighbour>> neighbours_;
};

}  // namespace retort
