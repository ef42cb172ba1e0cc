// Where a run begins from another one's weights and optimizer state, whose dataset has grown since:
// ids and rows of vocabularies are the same, tables have new rows at their ends.
#pragma once

#include <cstdint>
#include <optional>

#include "retort/common/file.h"
#include "retort/common/json.h"
#include "retort/dataset/dataset.h"
#include "retort/trainer/checkpoint.h"
#include "retort/trainer/train.h"

namespace retort {

struct WarmStart {
  fs::path run;
  int64_t trained_until = 0;  // moment (us) before which its training rows lie
};

/// What `options` ask for, or what the run to resume began from. Throws ConfigError where the run
/// has another architecture than `recipe` or is not finished, DataError where its dataset is
/// neither this one nor one this one grew from.
std::optional<WarmStart> find_warm_start(const TrainOptions& options, const Json& recipe,
                                         const Dataset& dataset);

/// The moment before which the training rows of the dataset with the digest lie, where it is this
/// dataset or one that it grew from; nullopt elsewhere.
std::optional<int64_t> trained_until(const std::string& digest, const Dataset& dataset);

/// Weights of `run` in the shapes of `fresh`, of which the rows that the run does not have are
/// kept. Throws DataError naming the tensor that does not fit: missing, of another width, or of
/// fewer rows than the run has.
NamedTensors grow_rows(const fs::path& run, const NamedTensors& before, const NamedTensors& fresh);

/// The state that a learner whose own is `fresh` begins with: weights of the run's best epoch, its
/// optimizers' moments, and what is fresh in the rows that are new. Throws as grow_rows.
NamedTensors grown_state(const WarmStart& start, const NamedTensors& fresh);

}  // namespace retort
