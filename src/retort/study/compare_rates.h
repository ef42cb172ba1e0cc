// The same learning rates for every row of a comparison.
#pragma once

#include <functional>
#include <vector>

#include "retort/common/file.h"
#include "retort/common/json.h"

namespace retort {

/// Trains a run of a recipe into a folder, unless it is there and finished.
using TrainRun = std::function<void(const Json& recipe, const fs::path& run)>;

/// The recipe with the one of `rates` whose run is best on validation, by train.metric of the
/// recipe; ties: the smaller. Runs are folder/rates/RATE; the chosen one becomes `first`, and
/// folder/learning_rate.json says what was found, so that it is done once:
/// {"chosen": 0.001, "metric": "auc_read", "validation": [{"learning_rate", "value"}]}.
/// The recipe as it is where `rates` is empty. Throws ConfigError on a rate that is not above 0, or
/// if the folder's choice was made from other rates.
Json with_best_rate(const Json& recipe, const std::vector<double>& rates, const fs::path& folder,
                    const fs::path& first, const TrainRun& train_run);

}  // namespace retort
