// Features of pairs, what a user did before with items like this one, as only a ranking model sees
// them: from the events that a bundle keeps and those that came since.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "retort/bundle/bundle.h"
#include "retort/dataset/batch.h"
#include "retort/encoder/user_events.h"

namespace retort {

/// An item of the bundle, or one that is live beside it with its features, one row.
struct PairItem {
  std::string id;
  std::optional<int32_t> item{};
  const SideBatch* features = nullptr;  // of an item that is not the bundle's
};

/// `user`: their place in the bundle, if they are there. `events`: what they did since its moment
/// (of a user who is not there: ever), in any order, of equal times the newest first; those before
/// it are the bundle's. Rows are in the order of `items`, the columns in schema order; features
/// that the model does not see are missing. An event with an item that the bundle does not hold
/// counts for that item alone. Ages are as of `now` (microseconds since 1970). Throws ArgumentError
/// for a bundle without a teacher.
SideBatch pair_features_of(const Bundle& bundle, std::optional<int32_t> user,
                           std::span<const UserEvent> events, std::span<const PairItem> items,
                           int64_t now);

}  // namespace retort
