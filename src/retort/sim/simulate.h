// `retort simulate`: a world, the log that a legacy policy collected in it, and the truth beside
// the log.
#pragma once

#include <cstdint>
#include <optional>

#include "retort/common/file.h"
#include "retort/common/json.h"

namespace retort {

struct SimulateOptions {
  fs::path out;                  // the folder to make; must not exist
  std::optional<uint64_t> seed;  // of the world and (seed + 1) of the log; absent: the recipe's
};

struct SimulateResult {
  fs::path folder;
  Json summary;  // what DIR/world.json holds: options, hash of the constants, counts, measures
};

/// Builds the world of the recipe's table [world] and writes, all or nothing,
///   impressions.parquet  request_id, user_id, item_id, time, position, clicked, seconds (null
///                        unless clicked), propensity (of the item in this slot)
///   users.parquet        user_id, segment, region
///   items.parquet        item_id, category, author, title_style, length, published
///   truth/               the latents, for the oracle only
///   world.json           options, constants and their hash, calibration, counts, measures
/// With kind = "long_video" in [world]: the files of simulate_long_video (long_video_simulate.h).
/// The result depends on the options alone, not on threads. Throws ConfigError, IoError,
/// Interrupted.
SimulateResult simulate(const Json& recipe, const SimulateOptions& options);

}  // namespace retort
