// `retort score`: logits of a run's ranking model for pairs of a dataset, as a Parquet file that
// students learn from ([scores]) and other tools read.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "retort/common/file.h"
#include "retort/common/json.h"
#include "retort/dataset/dataset.h"

namespace retort {

/// Which pairs are scored.
struct ScorePairs {
  /// logged: the rows of the split, with the negatives of a training's first epoch where rows are
  /// clicks; in_batch: every user row of a batch of training with every item of it; top: the
  /// ranking model's best `best` candidates of every user of the split, at one moment.
  enum class Kind { kLogged, kInBatch, kTop };
  Kind kind = Kind::kLogged;
  int32_t best = 0;
  /// "logged", "in-batch" or "top-N"; throws ConfigError naming the three.
  static ScorePairs parse(const std::string& text);
};

struct ScoringOptions {
  ScorePairs pairs{};
  Split split = Split::kTrain;
  /// Rows of [since, until) in microseconds, ending `lag` before the split does.
  int64_t since = std::numeric_limits<int64_t>::min();
  int64_t until = std::numeric_limits<int64_t>::max();
  int64_t lag = 0;
  std::string rows{};                  // clicks | impressions; empty: as the run was trained
  std::optional<int32_t> negatives{};  // a click; absent: as the run was trained, 0 of in-batch
  int32_t batch = 0;                   // of in-batch; 0: as the run was trained
  int64_t batches = 0;                 // of in-batch, at most; 0: an epoch
  /// top: only the run's student's best so many are scored; 0: all candidates.
  int32_t candidates = 0;
  std::string order{};             // top: the logit that orders; empty: read, else the first
  std::optional<uint64_t> seed{};  // of negatives and batches; absent: the run's
  std::string device = "auto";
};

struct ScoringResult {
  int64_t rows = 0, users = 0, items = 0;
  std::vector<std::string> logits;  // "read": in the file z_read
  std::string snapshot;             // "dmtl/seed1/step2300/1a2b3c4d"
  uint64_t bytes = 0;
  double seconds = 0;
};

/// Writes `out`, which appears whole or not at all: columns user, item (keys of the log), time (of
/// the row; of lists their moment), request (of impressions), position (where it was shown; of
/// lists the place, from 1), z_NAME of each logit, snapshot. Memory is that of one batch or of one
/// user's candidates, and what DuckDB needs to compress. Throws ConfigError for a run without a
/// ranking model, IoError if `out` exists, Interrupted on Ctrl-C.
ScoringResult score_pairs(const fs::path& run, const Dataset& dataset,
                          const ScoringOptions& options, const fs::path& out);

Json to_json(const ScoringResult& result);

}  // namespace retort
