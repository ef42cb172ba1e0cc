// Where a run stands: everything a resumed run needs beside the tensors. Stored in checkpoints.
#pragma once

#include <cstdint>
#include <optional>

#include "retort/common/json.h"
#include "retort/trainer/learner.h"

namespace retort {

/// Sums of the losses of some steps.
struct RunningLosses {
  LossValues sum;
  int64_t steps = 0;
  void add(const LossValues& values);
  LossValues mean() const;
};

struct LoopState {
  Phase phase = Phase::kJoint;
  bool finished = false;
  int64_t step = 0;         // taken in all
  int64_t epoch = 0;        // of the phase, from 0
  int64_t batch = 0;        // next one of the epoch; the number of batches: validation comes next
  int64_t epochs_done = 0;  // in all phases
  std::optional<double> best;  // deciding metric of the phase
  int64_t best_epoch = 0;      // from 1
  int64_t epochs_without_better = 0;
  std::optional<double> teacher_best;  // the teacher's own best auc_read on validation
  int64_t teacher_best_epoch = 0;
  RunningLosses window, whole_epoch;  // since the last line of metrics.jsonl, since its start
  int64_t rows = 0;                   // trained on
  double train_seconds = 0;           // of training steps, waiting for data included
  double wait_seconds = 0;            // waiting for data
  double seconds = 0;                 // of the run, validation included
  int64_t metrics_bytes = 0;          // of metrics.jsonl when this state was stored
};

Json to_json(const LoopState& state);
/// Throws DataError naming `where` if a key is missing.
LoopState loop_state_from_json(const Json& json, const std::string& where);

}  // namespace retort
