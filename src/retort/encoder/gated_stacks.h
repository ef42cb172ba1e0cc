// What a tower without a mixture makes of its input: one stack of layers or one a task, mixed by a
// gate or side by side.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "retort/bundle/model_spec.h"
#include "retort/bundle/safetensors.h"
#include "retort/encoder/dense_stack.h"

namespace retort {

class GatedStacks {
 public:
  /// Throws DataError if a weight is missing or of the wrong shape. `weights` must outlive it.
  GatedStacks(const TowerSpec& tower, const SafetensorsFile& weights);
  /// x [R, in] -> out [R, dim of the tower]. `x` is used as scratch.
  void encode(std::vector<float>& x, std::span<float> out) const;

 private:
  std::vector<float> shares(std::vector<float> x, int64_t rows) const;

  int64_t in_, width_, dim_;  // of the input, a stack's and the tower's vector
  int64_t tasks_ = 0;         // of the gate; 0: there is none
  std::vector<DenseStack> stacks_;
  std::optional<DenseStack> gate_;  // none of equal shares
};

}  // namespace retort
