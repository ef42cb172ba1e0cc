// Batches of a split: shuffled positives, each followed by its negatives, or shuffled requests with
// the articles shown in them; assembled on demand.
// The content of a batch depends on (seed, epoch, batch number) only: a run resumes by seeking.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "retort/dataset/assembler.h"
#include "retort/dataset/sampler/negative_sampler.h"

namespace retort {

struct LoaderOptions {
  Split split = Split::kTrain;
  /// clicks: every click of the split with sampled negatives. impressions: what was shown, clicked
  /// or not, a request never split between batches; negatives and their sampler are then not used.
  std::string rows = "clicks";
  int32_t batch = 1024;   // rows, negatives included; at most so many, at least 1 + negatives
  int32_t negatives = 4;  // n per click
  std::string sampler = "frequency";
  SamplerOptions sampling;
  bool reject_clicked = false;  // redraw (up to 8 times) items the user ever clicked in train
  uint64_t seed = 1;
  /// training: shuffled, fresh negatives and id dropout each epoch. Otherwise file order, frozen
  /// negatives (the draw does not depend on the epoch), no dropout.
  bool training = true;
  bool dropout = true;  // of ids and elements, where training
  /// The negatives are those of this epoch of training, whatever the epoch is.
  std::optional<int64_t> negatives_epoch{};
  int64_t limit = 0;  // at most this many positives (requests), evenly spaced; 0 = all
  /// Rows of moments in [since, until) alone, in microseconds.
  int64_t since = std::numeric_limits<int64_t>::min();
  int64_t until = std::numeric_limits<int64_t>::max();
  bool all_time() const {
    return since == std::numeric_limits<int64_t>::min() &&
           until == std::numeric_limits<int64_t>::max();
  }
  /// Of `parts` contiguous parts of each batch's positives (requests) only number `part` is
  /// assembled, which may be empty: one part a rank. What the other numbers count does not change.
  int32_t part = 0, parts = 1;
};

/// The moment `lag` before the end of a split, which is just after its last click. Throws
/// ConfigError naming `where` for a dataset without time or a split without clicks.
int64_t before_end_of(const Dataset& dataset, Split split, int64_t lag, const std::string& where);

/// Row order inside a batch: positive, its n negatives, next positive, ... or the articles of a
/// request by position, next request, ... One user row a group.
class Loader {
 public:
  /// Throws ConfigError for options that cannot work, DataError for impressions in a dataset that
  /// has none.
  Loader(const Dataset& dataset, const LoaderOptions& options);
  ~Loader();
  int64_t batches() const;    // per epoch
  int64_t positives() const;  // per epoch: clicks
  int64_t rows() const;       // per epoch, negatives included
  /// Rows of all parts of batch number `index` of `epoch`. Thread-safe.
  int64_t rows_of(int64_t epoch, int64_t index) const;
  /// The loader's part of batch number `index` of `epoch`. Thread-safe.
  void load(int64_t epoch, int64_t index, Batch& batch) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace retort
