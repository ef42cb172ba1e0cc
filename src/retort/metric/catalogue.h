// Full-catalogue judging: for each event of a split, the rank of its item among all candidates.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "retort/dataset/assembler.h"
#include "retort/dataset/dataset.h"
#include "retort/metric/towers.h"

namespace retort {

/// Where the judged item stands among others of equal score: in their middle (rounded down), before
/// or behind them.
enum class Ties { kMid, kBest, kWorst };

struct CatalogueOptions {
  Split split = Split::kTest;
  int64_t alive_window = 0;       // candidates: items clicked by anyone in [t - window, t); 0 = all
  int64_t refresh = 300'000'000;  // as-of item vectors are recomputed on this grid, microseconds
  bool exclude_seen = false;  // items the user clicked (protocol: has events of) before t are not
  Ties ties = Ties::kMid;
  bool reads_only = true;              // judge events that were read; false: every click
  double beta = 0;                     // popularity correction: score + beta * log q (methods E8)
  int32_t top = 100;                   // largest K for coverage
  std::span<const uint8_t> flagged{};  // [items of the dataset] 1: counted in `flagged` below
  int64_t limit = 0;                   // at most this many events, evenly spaced; 0 = all
};

/// Rank of each judged event's item: 1 is best; by default ties count half of the equal others
/// above it (the mid-rank, rounded down); 0 = the item was no candidate (a miss, counted). Events
/// come in the order of Clicks; several events of a user are judged each on its own.
struct CatalogueRanks {
  std::vector<int64_t> click;        // position in Clicks
  std::vector<int32_t> rank;         // [events]
  std::vector<int32_t> candidates;   // [events] size of the catalogue at the moment
  std::vector<int32_t> flagged;      // [events] flagged items among the best `top`; empty without
  int64_t distinct_recommended = 0;  // items that stood in any top `top`
  int64_t catalogue = 0;             // items that were a candidate at any moment
};

/// Natural logarithm of each count's smoothed share: log((c + 1) / (sum of c + size)). The `log q`
/// of the popularity correction: counts are training clicks for the whole catalogue, else clicks
/// of the alive window before the grid moment.
/// Source: Yi et al., RecSys 2019 (logQ correction), with add-one smoothing. @return [counts]
std::vector<float> log_share(std::span<const int64_t> counts);

/// True if item vectors depend on the moment (as-of aggregates, item age).
bool has_moving_items(const Schema& schema);

/// Ranks by the towers' inner product. Exact and blocked: memory is bounded by blocks of users
/// times candidates. Users are encoded at their event's moment, items on the refresh grid
/// (once, if no item feature depends on the moment). Throws Error on a vector that is not finite.
CatalogueRanks rank_catalogue(const Dataset& dataset, const Towers& towers,
                              const CatalogueOptions& options);

/// Several beta at once (the vectors are computed once): one result a beta.
std::vector<CatalogueRanks> rank_catalogue(const Dataset& dataset, const Towers& towers,
                                           const CatalogueOptions& options,
                                           std::span<const double> betas);

/// Ranks by any score: `score(event, candidates, out)` fills one score a candidate item for the
/// click at position `event`. For popularity, co-click and other baselines. Called from several
/// threads at once. The candidates are those of all events of a grid moment: scores of items that
/// are no candidates of this very event are ignored.
using CandidateScorer =
    std::function<void(int64_t event, std::span<const int32_t> candidates, std::span<float> out)>;
CatalogueRanks rank_catalogue(const Dataset& dataset, const CandidateScorer& score,
                              const CatalogueOptions& options);

}  // namespace retort
