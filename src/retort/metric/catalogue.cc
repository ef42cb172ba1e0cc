#include "retort/metric/catalogue.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>

#include "retort/common/error.h"
#include "retort/common/progress.h"
#include "retort/common/thread_pool.h"
#include "retort/kernel/dense.h"
#include "retort/kernel/top_k.h"
#include "retort/metric/candidates.h"

namespace retort {
namespace {

constexpr int64_t kUserBatch = 2048;     // events whose users are encoded in one call
constexpr int64_t kItemBatch = 8192;     // items encoded in one call
constexpr int64_t kScores = 16'000'000;  // floats of the block of scores
constexpr float kNoCandidate = -std::numeric_limits<float>::infinity();

/// Fills the scores [events, candidates] of consecutive events of one grid moment.
class BlockScorer {
 public:
  virtual ~BlockScorer() = default;
  /// All events that will be scored, in their order; must outlive the scorer's use.
  virtual void expect(std::span<const JudgedEvent> events) = 0;
  virtual bool moving() const = 0;  // are scores bound to the grid moment?
  virtual void start(std::span<const int32_t> candidates, int64_t moment) = 0;
  /// Scores of `count` of the expected events from number `first`.
  virtual void score(int64_t first, int64_t count, std::span<float> out) = 0;
};

void check_finite(std::span<const float> vectors, int64_t dim, const char* what) {
  for (size_t at = 0; at < vectors.size(); ++at) {
    if (!std::isfinite(vectors[at])) {
      fail<Error>(
          "catalogue: the {} tower gives {} in dimension {}: the model has diverged; train "
          "again with a smaller learning rate or clipping",
          what, vectors[at], static_cast<int64_t>(at) % dim);
    }
  }
}

class TowerScorer : public BlockScorer {
 public:
  TowerScorer(const Dataset& dataset, const Towers& towers)
      : towers_(towers), assembler_(dataset), moving_(has_moving_items(dataset.schema())) {}

  void expect(std::span<const JudgedEvent> events) override { events_ = events; }
  bool moving() const override { return moving_; }

  void start(std::span<const int32_t> candidates, int64_t moment) override {
    if (!moving_ && std::ranges::equal(candidates, encoded_)) return;
    const int64_t dim = towers_.dim(), count = static_cast<int64_t>(candidates.size());
    std::vector<float> vectors(count * dim);
    if (moving_) {
      encode_items(candidates, moment, vectors);
    } else {
      encode_missing(candidates, moment);
      for (int64_t at = 0; at < count; ++at) {
        std::copy_n(all_vectors_.begin() + row_of_[candidates[at]] * dim, dim,
                    vectors.begin() + at * dim);
      }
    }
    packed_ = PackedMatrix(vectors, count, dim);
    encoded_.assign(candidates.begin(), candidates.end());
  }

  void score(int64_t first, int64_t count, std::span<float> out) override {
    if (first < users_begin_ || first + count > users_end_) encode_users(first, count);
    const int64_t dim = towers_.dim();
    dot_block(std::span(users_).subspan((first - users_begin_) * dim, count * dim), packed_, out);
  }

 private:
  /// Encodes at least `count` users and, so that calls stay large, some of the next groups'.
  void encode_users(int64_t first, int64_t count) {
    users_begin_ = first;
    users_end_ =
        std::min(static_cast<int64_t>(events_.size()), first + std::max(count, kUserBatch));
    std::vector<UserMoment> rows;
    for (int64_t at = users_begin_; at < users_end_; ++at) {
      rows.push_back({events_[at].user, events_[at].time, events_[at].click});
    }
    SideBatch batch;
    assembler_.users(rows, batch);
    users_.resize(rows.size() * towers_.dim());
    towers_.encode_users(batch, users_);
    check_finite(users_, towers_.dim(), "user");
  }

  void encode_items(std::span<const int32_t> items, int64_t moment, std::span<float> out) const {
    const int64_t dim = towers_.dim(), count = static_cast<int64_t>(items.size());
    std::vector<ItemMoment> rows;
    SideBatch batch;
    for (int64_t begin = 0; begin < count; begin += kItemBatch) {
      const int64_t end = std::min(count, begin + kItemBatch);
      rows.clear();
      for (int64_t at = begin; at < end; ++at) rows.push_back({items[at], moment});
      assembler_.items(rows, batch);
      towers_.encode_items(batch, out.subspan(begin * dim, (end - begin) * dim));
    }
    check_finite(out, dim, "item");
  }

  /// Items that do not move are encoded when they are first a candidate, and kept.
  void encode_missing(std::span<const int32_t> items, int64_t moment) {
    const int32_t largest = items.empty() ? -1 : *std::max_element(items.begin(), items.end());
    if (static_cast<int64_t>(row_of_.size()) <= largest) row_of_.resize(largest + 1, -1);
    std::vector<int32_t> missing;
    for (const int32_t item : items) {
      if (row_of_[item] >= 0) continue;
      row_of_[item] = known_ + static_cast<int64_t>(missing.size());
      missing.push_back(item);
    }
    const int64_t dim = towers_.dim();
    all_vectors_.resize((known_ + missing.size()) * dim);
    encode_items(missing, moment, std::span(all_vectors_).subspan(known_ * dim));
    known_ += static_cast<int64_t>(missing.size());
  }

  const Towers& towers_;
  Assembler assembler_;
  bool moving_;
  std::span<const JudgedEvent> events_;
  std::vector<float> users_;  // vectors of events_[users_begin_, users_end_)
  int64_t users_begin_ = 0, users_end_ = 0;
  PackedMatrix packed_;
  std::vector<int32_t> encoded_;  // candidates of packed_
  std::vector<float> all_vectors_;
  std::vector<int64_t> row_of_;  // item to row of all_vectors_, -1 = not encoded
  int64_t known_ = 0;
};

class FunctionScorer : public BlockScorer {
 public:
  explicit FunctionScorer(const CandidateScorer& score) : score_(score) {}
  void expect(std::span<const JudgedEvent> events) override { events_ = events; }
  bool moving() const override { return false; }
  void start(std::span<const int32_t> candidates, int64_t) override { candidates_ = candidates; }
  void score(int64_t first, int64_t count, std::span<float> out) override {
    const int64_t width = static_cast<int64_t>(candidates_.size());
    parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t at = begin; at < end; ++at) {
        const auto row = out.subspan(at * width, width);
        const int64_t click = events_[first + at].click;
        score_(click, candidates_, row);
        check(std::none_of(row.begin(), row.end(), [](float x) { return std::isnan(x); }),
              "catalogue: a score of the event at click {} is not a number", click);
      }
    });
  }

 private:
  const CandidateScorer& score_;
  std::span<const JudgedEvent> events_;
  std::span<const int32_t> candidates_;
};

int32_t rank_of(std::span<const float> scores, float own, Ties ties) {
  int32_t above = 0, equal = 0;
  for (const float score : scores) {
    above += score > own;
    equal += score == own;
  }
  const int32_t others = equal - 1;
  const int32_t before = ties == Ties::kBest ? 0 : ties == Ties::kWorst ? others : others / 2;
  return 1 + above + before;
}

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
    const int64_t block = std::clamp<int64_t>(kScores / std::max<int64_t>(width, 1), 8, kUserBatch);
    for (int64_t at = first; at < first + size; at += block) {
      check_interrupt("evaluation");
      const int64_t count = std::min(block, first + size - at);
      judge_block(at, count, width);
      progress.add(count);
    }
  }

  void judge_block(int64_t first, int64_t count, int64_t width) {
    scores_.resize(count * width);
    mask_.resize(window_.masks() ? scores_.size() : 0);
    for (int64_t at = 0; window_.masks() && at < count; ++at) {
      window_.mask(events_[first + at], std::span(mask_).subspan(at * width, width));
    }
    if (width > 0) scorer_.score(first, count, scores_);
    parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> corrected;
      for (int64_t at = begin; at < end; ++at) {
        judge_event(events_[first + at], at, std::span(scores_).subspan(at * width, width),
                    corrected);
      }
    });
  }

  /// Counts how many candidates score above the event's own item.
  void judge_event(const JudgedEvent& event, int64_t row, std::span<float> scores,
                   std::vector<float>& corrected) {
    const int64_t width = static_cast<int64_t>(scores.size());
    int32_t candidates = static_cast<int32_t>(width);
    if (!mask_.empty()) {
      const uint8_t* mask = mask_.data() + row * width;
      candidates = std::accumulate(mask, mask + width, 0);
      for (int64_t at = 0; at < width; ++at) scores[at] = mask[at] ? scores[at] : kNoCandidate;
    }
    const int32_t own = window_.position(event.item);
    const bool present = own >= 0 && (mask_.empty() || mask_[row * width + own] != 0);
    for (size_t b = 0; b < betas_.size(); ++b) {
      std::span<const float> judged = scores;
      if (betas_[b] != 0) {
        const float beta = static_cast<float>(betas_[b]);
        corrected.resize(width);
        for (int64_t at = 0; at < width; ++at) corrected[at] = scores[at] + beta * log_q_[at];
        judged = corrected;
      }
      CatalogueRanks& result = results_[b];
      result.click[event.slot] = event.click;
      result.candidates[event.slot] = candidates;
      result.rank[event.slot] = present ? rank_of(judged, judged[own], options_.ties) : 0;
      mark_recommended(judged, recommended_[b]);
    }
  }

  void mark_recommended(std::span<const float> scores, std::vector<uint8_t>& recommended) const {
    if (options_.top <= 0) return;
    for (const ScoredItem& best : top_k(scores, options_.top)) {
      if (best.score == kNoCandidate) break;
      std::atomic_ref<uint8_t>(recommended[window_.items()[best.item]])
          .store(1, std::memory_order_relaxed);
    }
  }

  const CatalogueOptions& options_;
  std::span<const double> betas_;
  BlockScorer& scorer_;
  CandidateWindow window_;
  std::vector<JudgedEvent> events_;
  std::vector<float> log_q_, scores_;
  std::vector<uint8_t> mask_;                      // of scores_, empty if all are candidates
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
  TowerScorer scorer(dataset, towers);
  return CatalogueRun(dataset, options, betas, scorer).run();
}

CatalogueRanks rank_catalogue(const Dataset& dataset, const CandidateScorer& score,
                              const CatalogueOptions& options) {
  FunctionScorer scorer(score);
  const double betas[] = {0};
  return std::move(CatalogueRun(dataset, options, betas, scorer).run().front());
}

}  // namespace retort
