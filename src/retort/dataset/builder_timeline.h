// The orders by time of a dataset being built: of all clicks, and of every key's with the running
// sums from which as-of features are looked up.
#pragma once

#include <string>

#include "retort/common/file.h"
#include "retort/dataset/builder_order.h"

namespace retort {

/// Writes by_time.* from the clicks' columns in the folder.
void write_by_time(const fs::path& folder);

/// Writes timeline.KEY.* for one key, from the clicks' columns in the folder; keys are in
/// [0, keys).
void write_timeline(const fs::path& folder, const std::string& key, int64_t keys,
                    const KeysOfClicks& keys_of);

}  // namespace retort
