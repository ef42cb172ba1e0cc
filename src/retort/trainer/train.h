// Training: one loop for every recipe (joint, frozen and offline distillation, hard labels).
#pragma once

#include <cstdint>
#include <string>

#include "retort/common/file.h"
#include "retort/common/json.h"
#include "retort/dataset/dataset.h"
#include "retort/trainer/launch.h"

namespace retort {

struct TrainOptions {
  fs::path run;  // folder to write
  bool resume = false;
  fs::path warm_start{};  // a finished run to begin from; empty: fresh weights
  std::string device = "auto";
  bool profile = false;  // profile.json in the run, a table in the log: step_profile.h
  uint64_t seed = 1;     // of initialisation, shuffling and negatives
  Launch launch{};       // this process among the ranks that train together
  /// What goes on with a run that was stopped, for the message.
  std::string go_on = "continue with the same command and --resume";
  int64_t stop_after_step = -1;  // tests: behave as if Ctrl-C came after this step; -1 = never
};

struct TrainResult {
  int64_t steps = 0;
  int64_t epochs = 0;
  int64_t best_epoch = 0;
  double best_metric = 0;  // of the validation metric of the recipe
  double seconds = 0;
  double rows_per_second = 0;
  double data_wait_share = 0;  // of the training time spent waiting for batches
  bool validated = false;      // best_metric and best_epoch are those of a validation
};

/// Trains `recipe` (resolved) on `dataset`. The run folder gets recipe.json, run.json (versions,
/// seed, dataset digest, result), metrics.jsonl, events.out.tfevents.*, checkpoints/last and
/// checkpoints/best. A run folder that exists is an error unless `resume`. Throws Interrupted
/// after writing a checkpoint on Ctrl-C; Error on a non-finite loss, naming step and feature.
/// With several ranks (docs/ranks.md) rank 0 alone reads and writes the run folder and validates;
/// PeerLost if one of the others goes.
TrainResult train(const Json& recipe, const Dataset& dataset, const TrainOptions& options);

}  // namespace retort
