// Turns "this user, this item, at this moment" into feature arrays: the one place where features
// are computed, for training rows, sampled negatives, the catalogue and publishing alike.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "retort/common/rng.h"
#include "retort/dataset/batch.h"
#include "retort/dataset/dataset.h"

namespace retort {

/// A user at a moment. `click` is the position in Clicks of the event itself, for context
/// features; -1 when there is none (catalogue, publishing): context features are then missing.
struct UserMoment {
  int32_t user = 0;
  int64_t time = 0;
  int64_t click = -1;
};
struct ItemMoment {
  int32_t item = 0;
  int64_t time = 0;
};

/// Thread-safe: all methods are const and write only to their output, whose buffers are reused.
/// The dataset must outlive it. Statistics of an out-of-vocabulary group count as missing.
class Assembler {
 public:
  /// Throws DataError naming the column that is missing or does not fit the schema.
  explicit Assembler(const Dataset& dataset);

  /// History and aggregates see events strictly before the moment; a dataset without time gives
  /// empty histories. `dropout`: ids of features with oov_dropout are replaced by row 0 by the
  /// draw at `positions[r]` (training only; nullopt = never), each element of a bag or sequence
  /// by a draw of its own; elements of bags with `dropout` are left out likewise.
  struct Dropout {
    Rng rng;
    std::span<const uint64_t> positions;
  };
  void users(std::span<const UserMoment> rows, SideBatch& out,
             std::optional<Dropout> dropout = {}) const;
  void items(std::span<const ItemMoment> rows, SideBatch& out,
             std::optional<Dropout> dropout = {}) const;
  /// Pair features of rows[r] = (users[r], items[r]); sizes must be equal.
  void pairs(std::span<const UserMoment> users, std::span<const ItemMoment> items,
             SideBatch& out) const;

 private:
  struct Plan;
  std::shared_ptr<const Plan> plan_;
};

}  // namespace retort
