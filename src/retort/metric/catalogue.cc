#include "retort/metric/catalogue.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>

#include "retort/common/error.h"
#include "retort/common/progress.h"
#include "retort/common/thread_pool.h"
#include "retort/metric/block_scorer.h"
#include "retort/metric/candidates.h"
#include "retort/metric/event_rank.h"

namespace retort {
namespace {

constexpr int64_t kBlock = 2048;        // events judged at once, at most
constexpr int64_t kMask = 128'000'000;  // bytes of the masks of a block, about

/// Ranks of all events for all betas; see rank_catalogue.
class CatalogueRun {
 public:
  CatalogueRun(const Dataset& dataset, const CatalogueOptions& options,
               std::span<const double> betas, BlockScorer& scorer)
      : options_(options),
        betas_(betas),
        scorer_(scorer),
        window_(dataset, options),
        events_(judged_events(dataset, options, options.alive_window <= 0 && !scorer.moving())),
        recommended_(betas.size(), std::vector<uint8_t>(dataset.items(), 0)),
        results_(betas.size()) {
    for (CatalogueRanks& result : results_) {
      result.click.resize(events_.size());
      result.rank.resize(events_.size());
      result.candidates.resize(events_.size());
      if (!options.flagged.empty()) result.flagged.resize(events_.size());
    }
  }

  std::vector<CatalogueRanks> run() {
    scorer_.expect(events_);
    const int64_t size = static_cast<int64_t>(events_.size());
    Progress progress("ranking the catalogue", size, "events");
    for (int64_t begin = 0; begin < size;) {
      int64_t end = begin;
      while (end < size && events_[end].moment == events_[begin].moment) ++end;
      judge_group(begin, end - begin, progress);
      begin = end;
    }
    for (size_t beta = 0; beta < betas_.size(); ++beta) {
      results_[beta].distinct_recommended =
          std::count(recommended_[beta].begin(), recommended_[beta].end(), uint8_t{1});
      results_[beta].catalogue = window_.distinct();
    }
    return std::move(results_);
  }

 private:
  void judge_group(int64_t first, int64_t size, Progress& progress) {
    const auto group = std::span(events_).subspan(first, size);
    window_.start(group);
    scorer_.start(window_.items(), group.front().moment);
    const bool corrected =
        std::any_of(betas_.begin(), betas_.end(), [](double beta) { return beta != 0; });
    log_q_ = corrected ? window_.log_q(group.front().moment) : std::vector<float>();
    const int64_t width = static_cast<int64_t>(window_.items().size());
    set_corrections();
    const int64_t block = window_.masks()
                              ? std::clamp<int64_t>(kMask / std::max<int64_t>(width, 1), 8, kBlock)
                              : kBlock;
    for (int64_t at = first; at < first + size; at += block) {
      check_interrupt("evaluation");
      const int64_t count = std::min(block, first + size - at);
      judge_block(at, count, width);
      progress.add(count);
    }
  }

  void set_corrections() {
    corrections_.clear();
    float largest = 0;
    for (const float value : log_q_) largest = std::max(largest, std::abs(value));
    for (const double beta : betas_) {
      const auto factor = static_cast<float>(beta);
      corrections_.push_back(beta == 0 ? Correction{}
                                       : Correction{factor, log_q_, std::abs(factor) * largest});
    }
  }

  void judge_block(int64_t first, int64_t count, int64_t width) {
    mask_.resize(window_.masks() ? count * width : 0);
    for (int64_t at = 0; window_.masks() && at < count; ++at) {
      window_.mask(events_[first + at], std::span(mask_).subspan(at * width, width));
    }
    if (width > 0) scorer_.prepare(first, count);
    const int64_t rows = scorer_.tile().events;
    parallel_for(0, (count + rows - 1) / rows, 1, [&](int64_t begin, int64_t end) {
      for (int64_t tile = begin; tile < end; ++tile)
        judge_tile(first, tile * rows, std::min(rows, count - tile * rows), width);
    });
  }

  /// Events [begin, begin + count) of the block that starts with event `first`.
  void judge_tile(int64_t first, int64_t begin, int64_t count, int64_t width) {
    const BlockScorer::Tile tile = scorer_.tile();
    const int64_t stride = tile.candidates + 16;  // no power of two: rows would share cache sets
    thread_local std::vector<float> scores;
    scores.resize(tile.events * stride);
    std::vector<EventRank> ranks;  // [event][beta]
    for (int64_t column = 0; column < width; column += tile.candidates) {
      const int64_t end = std::min(width, column + tile.candidates);
      scorer_.score(begin, count, column, end, scores.data(), stride);
      for (int64_t at = 0; at < count; ++at) {
        const std::span<const float> row(scores.data() + at * stride, end - column);
        const uint8_t* mask = mask_of(begin + at, width);
        if (column == 0) start_ranks(first, begin + at, mask, row, ranks);
        for (size_t b = 0; b < betas_.size(); ++b)
          ranks[at * betas_.size() + b].add(column, row, mask == nullptr ? nullptr : mask + column);
      }
    }
    for (int64_t at = 0; at < count; ++at)
      for (size_t b = 0; b < betas_.size(); ++b)
        store(events_[first + begin + at], begin + at, width,
              ranks.empty() ? nullptr : &ranks[at * betas_.size() + b], b);
  }

  const uint8_t* mask_of(int64_t event, int64_t width) const {
    return mask_.empty() ? nullptr : mask_.data() + event * width;
  }

  void start_ranks(int64_t first, int64_t event, const uint8_t* mask, std::span<const float> row,
                   std::vector<EventRank>& ranks) const {
    int32_t own = window_.position(events_[first + event].item);
    if (own >= 0 && mask != nullptr && mask[own] == 0) own = -1;
    const float score = own < 0                      ? 0
                        : scorer_.margin(event) == 0 ? row[own]
                                                     : scorer_.exact(event, own);
    for (const Correction& correction : corrections_)
      ranks.emplace_back(scorer_, event, own, score, correction, options_.top);
  }

  /// `rank`: nullptr where there are no candidates at all.
  void store(const JudgedEvent& judged, int64_t event, int64_t width, EventRank* rank,
             size_t beta) {
    const uint8_t* mask = mask_of(event, width);
    CatalogueRanks& result = results_[beta];
    result.click[judged.slot] = judged.click;
    result.candidates[judged.slot] =
        mask == nullptr ? static_cast<int32_t>(width) : std::accumulate(mask, mask + width, 0);
    result.rank[judged.slot] = rank == nullptr ? 0 : rank->rank(options_.ties);
    if (rank == nullptr) return;
    rank->each_best([&](int32_t candidate) {
      const int32_t item = window_.items()[candidate];
      std::atomic_ref<uint8_t>(recommended_[beta][item]).store(1, std::memory_order_relaxed);
      if (!options_.flagged.empty()) result.flagged[judged.slot] += options_.flagged[item];
    });
  }

  const CatalogueOptions& options_;
  std::span<const double> betas_;
  BlockScorer& scorer_;
  CandidateWindow window_;
  std::vector<JudgedEvent> events_;
  std::vector<float> log_q_;
  std::vector<Correction> corrections_;            // [betas]
  std::vector<uint8_t> mask_;                      // [events][candidates], empty if all are
  std::vector<std::vector<uint8_t>> recommended_;  // [betas][items]
  std::vector<CatalogueRanks> results_;
};

}  // namespace

std::vector<float> log_share(std::span<const int64_t> counts) {
  const double sum = std::accumulate(counts.begin(), counts.end(), 0.0);
  const double total = sum + static_cast<double>(counts.size());
  std::vector<float> shares(counts.size());
  for (size_t at = 0; at < counts.size(); ++at) {
    shares[at] = static_cast<float>(std::log((static_cast<double>(counts[at]) + 1.0) / total));
  }
  return shares;
}

bool has_moving_items(const Schema& schema) {
  return std::any_of(schema.features.begin(), schema.features.end(), [](const FeatureSpec& spec) {
    return spec.side == Side::kItem &&
           (spec.source == FeatureSource::kAsOf || spec.source == FeatureSource::kTime);
  });
}

CatalogueRanks rank_catalogue(const Dataset& dataset, const Towers& towers,
                              const CatalogueOptions& options) {
  const double betas[] = {options.beta};
  return std::move(rank_catalogue(dataset, towers, options, betas).front());
}

std::vector<CatalogueRanks> rank_catalogue(const Dataset& dataset, const Towers& towers,
                                           const CatalogueOptions& options,
                                           std::span<const double> betas) {
  const auto scorer = make_tower_scorer(dataset, towers);
  return CatalogueRun(dataset, options, betas, *scorer).run();
}

CatalogueRanks rank_catalogue(const Dataset& dataset, const CandidateScorer& score,
                              const CatalogueOptions& options) {
  const auto scorer = make_function_scorer(score);
  const double betas[] = {0};
  return std::move(CatalogueRun(dataset, options, betas, *scorer).run().front());
}

}  // namespace retort
