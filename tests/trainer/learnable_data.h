// A small feed whose clicks and reads follow from the features, and short recipes to train on it.
#pragma once

#include <string>
#include <vector>

#include "tests/support/tiny_dataset.h"

#include "retort/common/json.h"

namespace retort {

/// 30 users in 2 groups, 40 items in 2 groups and 2 styles. A user clicks items of the own group
/// nine times in ten and reads them long where user number and style agree. Splits by time.
TinyDataset learnable_dataset(int32_t clicks = 1500);

/// The user's last six items, or with `with` what stands beside them ("seconds", "count").
FeatureSpec history_feature(const std::string& name, const std::string& with, int64_t rows);

/// A recipe of the repository with the preset tiny and the assignments of `sets`.
Json tiny_recipe(const std::string& name, const std::vector<std::string>& sets = {});

/// The lines of a run's metrics.jsonl.
std::vector<Json> metrics_of(const fs::path& run);

}  // namespace retort
