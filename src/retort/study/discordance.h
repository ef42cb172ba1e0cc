// How far a retrieval model's order is from the order of the ranking model behind it, over requests
// of a split.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "retort/dataset/assembler.h"
#include "retort/dataset/dataset.h"
#include "retort/metric/candidates.h"
#include "retort/metric/towers.h"

namespace retort {

/// The score that a ranking model sorts by.
struct RankerScore {
  const PairScorer* ranker = nullptr;
  /// w of w * click + (1 - w) * dwm (methods B7 (i)); below 0: the task "read" alone.
  double fusion = -1;
  void score(const Batch& batch, std::span<float> out) const;
};

/// Source: RRA sec. 5.1.2, eq. 9 (NKTD@N); methods B7: one request a user and day.
class Discordance {
 public:
  /// The first request of each user and day of the split, at most `limit`, evenly spaced.
  /// Candidates are those of `options`. `dataset` must outlive it.
  Discordance(const Dataset& dataset, const CatalogueOptions& options, int64_t limit);

  int64_t requests() const { return static_cast<int64_t>(requests_.size()); }
  const std::vector<int32_t>& users() const { return users_; }  // [requests]

  /// NKTD@n of each request, on the retrieval model's own best n and on the ranker's.
  struct Values {
    std::vector<double> own, ranker;  // [requests]
  };
  Values measure(const Towers& towers, const RankerScore& ranker, int32_t n) const;

 private:
  const Dataset& dataset_;
  CatalogueOptions options_;
  Assembler assembler_;
  std::vector<JudgedEvent> requests_;
  std::vector<int32_t> users_;
};

}  // namespace retort
