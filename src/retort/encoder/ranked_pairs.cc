#include "retort/encoder/ranked_pairs.h"

#include <cmath>

#include "retort/common/error.h"
#include "retort/encoder/features.h"

namespace retort {
namespace {

double probability(float logit) { return 1 / (1 + std::exp(-static_cast<double>(logit))); }

/// Features of the bundle's items and of live ones in one batch.
SideBatch features_of(const Bundle& bundle, std::span<const PairItem> items) {
  SideBatch all;
  for (const PairItem& item : items) {
    check(item.item || item.features != nullptr, "rank_pairs: item '{}' has no features", item.id);
    append_row(all, item.item ? bundle.teacher()->item_features(std::span(&*item.item, 1))
                              : *item.features);
  }
  return all;
}

/// Of the task, whether the root-ward way from it meets `ancestor`.
bool follows(const RankerSpec& spec, const RankedTask& task, const std::string& ancestor) {
  for (int at = task.parent; at >= 0; at = spec.tasks[static_cast<size_t>(at)].parent)
    if (spec.tasks[static_cast<size_t>(at)].name == ancestor) return true;
  return false;
}

}  // namespace

std::vector<RankedPair> ranked_pairs(const RankerSpec& spec, const RankerLogits& logits) {
  std::vector<RankedPair> pairs(logits.begin()->second.size());
  const auto heads_of_seconds = [&](const std::string& name) {
    return spec.seconds_cap > 0 && (name == kRankedSeconds || name == kRankedDeviation);
  };
  for (size_t row = 0; row < pairs.size(); ++row) {
    RankedPair& pair = pairs[row];
    for (const auto& [name, values] : logits) {
      if (heads_of_seconds(name)) continue;
      if (spec.seconds_cap > 0 && name == kRankedValue)
        pair.seconds = probability(values[row]) * spec.seconds_cap;
      else
        pair.tasks[name] = probability(values[row]);
    }
    for (const RankedTask& task : spec.tasks) {
      if (task.name == "click") pair.pctr = pair.tasks.at("click");
      if (task.name != "read") continue;
      pair.pctcvr = pair.tasks.at("read");
      if (!follows(spec, task, "click")) continue;
      const auto given = pair.tasks.find("read_given_click");
      pair.pcvr = given != pair.tasks.end() ? given->second : *pair.pctcvr / pair.tasks.at("click");
    }
  }
  return pairs;
}

std::vector<RankedPair> rank_pairs(const Bundle& bundle, const Ranker& ranker,
                                   const RankedUser& user, std::span<const PairItem> items,
                                   int64_t now) {
  if (items.empty()) return {};
  Batch batch;
  batch.users = user.features;
  batch.items = features_of(bundle, items);
  if (ranker.spec().sees_pairs())
    batch.pairs = pair_features_of(bundle, user.row, user.events, items, now);
  batch.user_of_row.assign(items.size(), 0);
  return ranked_pairs(ranker.spec(), ranker.score(batch));
}

}  // namespace retort
