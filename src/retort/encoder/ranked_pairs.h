// What a bundle's ranking model says of a user and items: probabilities by task.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "retort/bundle/bundle.h"
#include "retort/dataset/batch.h"
#include "retort/encoder/pair_features.h"
#include "retort/encoder/ranker.h"
#include "retort/encoder/user_events.h"

namespace retort {

struct RankedPair {
  /// p(click), p(read | click) and p(read) of an item that is shown; absent where the model has no
  /// task of the name, or reads do not follow from clicks.
  std::optional<double> pctr{}, pcvr{}, pctcvr{};
  /// Expected seconds of an item that is shown, each at most the model's cap; absent without one.
  std::optional<double> seconds{};
  /// Of every task p(task | shown) and, of those with a parent, "<task>_given_<parent>".
  std::map<std::string, double> tasks{};
};

struct RankedUser {
  const SideBatch& features;  // one row, in the order of the bundle's schema
  /// Their place in the bundle and what they did since its moment: for features of pairs.
  std::optional<int32_t> row{};
  std::span<const UserEvent> events{};
};

/// One a PairItem. `ranker`: of the bundle's teacher. Ages are as of `now`. Throws ArgumentError on
/// features that do not fit the bundle.
std::vector<RankedPair> rank_pairs(const Bundle& bundle, const Ranker& ranker,
                                   const RankedUser& user, std::span<const PairItem> items,
                                   int64_t now);

/// From logits as Ranker::score gives them.
std::vector<RankedPair> ranked_pairs(const RankerSpec& spec, const RankerLogits& logits);

}  // namespace retort
