// `retort simulate long_video`: World L, what its users did under a legacy policy and a live
// ranker, and the truth beside the log.
#pragma once

#include "retort/sim/simulate.h"

namespace retort {

/// Builds the world of the recipe's table [world] and writes, all or nothing,
///   impressions.parquet  imp_id, request_id, user_id, item_id, collection, type, position, time,
///                        clicked, kept, score_click, score_dwm, snapshot (of the first `days`)
///   playbacks.parquet    pb_id, user_id, item_id, type, time, minutes, collection, imp_id
///   reactions.parquet    user_id, item_id, type, time, kind
///   collections.parquet  id, kind, title
///   users.parquet        user_id, age, gender, genre_prefs, tag_prefs
///   items.parquet        item_id, type, genres, released
///   truth/, world.json   as World F
/// All logs are in the order of time by day, users within it. Memory holds the world, the state of
/// the users and one day's impressions. Throws ConfigError, IoError, Interrupted.
SimulateResult simulate_long_video(const Json& recipe, const SimulateOptions& options);

}  // namespace retort
