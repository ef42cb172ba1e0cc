// The rank of one event's item and the best candidates, from scores that come block by block and
// may be off by a known margin: only scores too close to call are asked for exactly.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "retort/kernel/top_k.h"
#include "retort/metric/block_scorer.h"
#include "retort/metric/catalogue.h"

namespace retort {

/// score + beta * log_q[candidate], log_q [candidates]; an empty log_q corrects nothing.
struct Correction {
  float beta = 0;
  std::span<const float> log_q{};
  float largest = 0;  // |beta * log_q| at most
};

/// Source: ranks over the full catalogue, Krichene & Rendle, KDD 2020 (why not over a sample).
class EventRank {
 public:
  /// `event` as the scorer counts the prepared ones; `own`: the item's place among the candidates,
  /// -1 if it is none; its own score, exact and not corrected; the `top` best are kept.
  EventRank(const BlockScorer& scorer, int64_t event, int32_t own, float own_score,
            const Correction& correction, int32_t top);
  /// Scores [C] of candidates [begin, begin + C); `mask` [C], 0 = no candidate, or nullptr.
  void add(int64_t begin, std::span<const float> scores, const uint8_t* mask);
  /// Rank of the item once all candidates were added; 0 if it is none.
  int32_t rank(Ties ties) const;
  /// Calls `visit(candidate)` for each of the `top` best, ties by place.
  template <class Visit>
  void each_best(Visit&& visit) {
    for (const int32_t candidate : take_best()) visit(candidate);
  }

 private:
  float exact(int64_t candidate, float score) const;
  float corrected(float score, int64_t candidate) const;
  float margin_at(float value) const;
  void prune();
  std::vector<int32_t> take_best();

  const BlockScorer& scorer_;
  const Correction& correction_;
  int64_t event_;
  int32_t own_, top_;
  float margin_, own_score_ = 0, own_value_ = 0;
  float low_, high_;
  float bar_;  // scores below it are not among the best
  int64_t above_ = 0, equal_ = 0;
  std::vector<ScoredItem> contenders_;  // all that could be among the exact best
  int64_t prune_at_;
};

}  // namespace retort
