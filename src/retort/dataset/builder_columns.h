// The columns of a dataset that come from the view `clicks` and the tables `events`, `users` and
// `items` in DuckDB, streamed to disk in chunks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "retort/dataset/builder.h"
#include "retort/dataset/builder_recipe.h"

namespace retort {

/// Makes the table `ordered` of good clicks with ids: (user, item, time, seconds, fixed, request,
/// ordinal, c0..) sorted by user, time and order in the log; request only with has_requests,
/// ordinal (the row in `events`) only with has_impressions. `requests` numbers impressions.
void order_clicks(DuckDb& db, const DataRecipe& recipe, const Events& events);

/// The seconds above which a click is a read: nullopt for rule "none", the median of the training
/// clicks with known seconds (the mean of the middle two), or the recipe's number.
std::optional<double> find_threshold(DuckDb& db, const DataRecipe& recipe);

/// How many training clicks each user and item has.
struct TrainingClicks {
  std::vector<int64_t> of_user, of_item;
};

/// Writes clicks.*, users.clicks_begin, items.train_clicks, items.first_click, and counts
/// into `result`.
TrainingClicks write_clicks(DuckDb& db, const DataRecipe& recipe, const fs::path& folder,
                            bool has_requests, IngestResult& result);

/// Writes impressions.*: every good event of a log with shown articles.
void write_impressions(DuckDb& db, const DataRecipe& recipe, const fs::path& folder,
                       const SplitMade& split, const Events& events, IngestResult& result);

}  // namespace retort
