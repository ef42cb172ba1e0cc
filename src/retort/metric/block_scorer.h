// Scores of blocks of judged events against blocks of candidates: by the towers' inner product, or
// by any function. Used by the catalogue's ranks.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "retort/dataset/dataset.h"
#include "retort/metric/candidates.h"
#include "retort/metric/catalogue.h"
#include "retort/metric/towers.h"

namespace retort {

/// Source: two towers and their inner product, Huang et al., CIKM 2013.
class BlockScorer {
 public:
  virtual ~BlockScorer() = default;
  /// All events that will be scored, in their order; must outlive the scorer's use.
  virtual void expect(std::span<const JudgedEvent> events) = 0;
  virtual bool moving() const = 0;  // are scores bound to the grid moment?
  /// What follows is about these candidates.
  virtual void start(std::span<const int32_t> candidates, int64_t moment) = 0;
  /// What follows is about `count` of the expected events from number `first`, called 0, 1, ..
  virtual void prepare(int64_t first, int64_t count) = 0;

  /// How many events and candidates `score` should be given at once.
  struct Tile {
    int64_t events, candidates;  // multiples of 32, or one event and all candidates
  };
  virtual Tile tile() const = 0;
  /// Scores of prepared events [first, first + count) against candidates [begin, end), for one
  /// tile, as [count, stride] floats with the candidates in front. `out` has room for a whole tile.
  /// Thread-safe.
  virtual void score(int64_t first, int64_t count, int64_t begin, int64_t end, float* out,
                     int64_t stride) const = 0;
  /// What `score` may differ from `exact` by; 0: nothing, and `exact` is not to be called.
  virtual float margin(int64_t event) const = 0;
  virtual float exact(int64_t event, int64_t candidate) const = 0;
  /// Candidates with the same number have equal exact scores.
  virtual int32_t twin(int64_t candidate) const = 0;
};

/// Both throw Error on a score that is no number.
std::unique_ptr<BlockScorer> make_tower_scorer(const Dataset& dataset, const Towers& towers);
std::unique_ptr<BlockScorer> make_function_scorer(const CandidateScorer& score);

}  // namespace retort
