// One side of the inner product with its weights, without torch: TowerSpec composed of kernels.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "retort/bundle/model_spec.h"
#include "retort/bundle/safetensors.h"
#include "retort/dataset/batch.h"
#include "retort/encoder/gated_stacks.h"
#include "retort/encoder/input.h"
#include "retort/encoder/mixture.h"
#include "retort/encoder/sequence.h"

namespace retort {

class Tower {
 public:
  /// Throws DataError if a weight is missing or of the wrong shape. `weights` must outlive it.
  Tower(const TowerSpec& spec, const SafetensorsFile& weights);
  /// out [rows, dim]; `shares`: of each task's vector, [tasks of the mixture], none without one.
  /// Throws ArgumentError on a batch that does not fit or an id outside its table. Thread-safe;
  /// runs on the pool.
  void encode(const SideBatch& batch, std::span<const float> shares, std::span<float> out) const;

 private:
  void check_batch(const SideBatch& batch, int64_t out) const;
  std::vector<float> input_rows(const SideBatch& batch, int64_t begin, int64_t end) const;

  std::string name_;
  int64_t width_, dim_;
  InputRows input_;
  std::vector<SequenceEncoder> sequences_;
  std::optional<MixtureEncoder> mixture_;
  std::optional<GatedStacks> layers_;  // without a mixture
};

}  // namespace retort
