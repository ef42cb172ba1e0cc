// What judging and publishing need of a candidate generation model: two encoders whose inner
// product is the score. The torch student and the torch-free encoder both provide it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "retort/dataset/batch.h"

namespace retort {

class Towers {
 public:
  virtual ~Towers() = default;
  /// Width D of both vectors.
  virtual int32_t dim() const = 0;
  /// Writes [side.rows, D] row-major.
  virtual void encode_users(const SideBatch& users, std::span<float> out) const = 0;
  virtual void encode_items(const SideBatch& items, std::span<float> out) const = 0;
};

/// Scores rows that need not factorise: a ranking model's tasks, a popularity count.
class PairScorer {
 public:
  virtual ~PairScorer() = default;
  /// One score a row of the batch, for the task "click", "read" (pCTCVR) or
  /// "read_given_click". A scorer of a single output gives it for every task.
  virtual void score(const Batch& batch, std::string_view task, std::span<float> out) const = 0;
};

}  // namespace retort
