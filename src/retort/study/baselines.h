// The simple rules that stand beside every model: popularity of all time and of trailing windows,
// item-to-item co-click, and chance. Computed from the dataset alone.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "retort/dataset/dataset.h"
#include "retort/metric/catalogue.h"
#include "retort/metric/towers.h"
#include "retort/study/co_click.h"

namespace retort {

/// A rule that scores items for a user at a moment. Thread-safe.
class ItemRule {
 public:
  virtual ~ItemRule() = default;
  /// @param items [n] indices  @param out [n]
  virtual void score(int32_t user, int64_t time, std::span<const int32_t> items,
                     std::span<float> out) const = 0;
};

/// One baseline, as a scorer of test rows and of the catalogue.
struct Baseline {
  std::string name;
  std::string summary;
  std::shared_ptr<const ItemRule> rule;
  std::shared_ptr<const PairScorer> pairs;
  CandidateScorer candidates;
};

/// A rule under its name; `dataset` must outlive it.
Baseline make_baseline(const Dataset& dataset, std::string name, std::string summary,
                       const std::shared_ptr<const ItemRule>& rule);

/// popularity (clicks in training), popularity_1h, popularity_3h, popularity_1d (clicks strictly
/// before the moment; left out where the log has no time), co_click, random. `seed` is that of
/// random.
std::vector<Baseline> make_baselines(const Dataset& dataset, uint64_t seed,
                                     const CoClickOptions& co_click = {});

}  // namespace retort
