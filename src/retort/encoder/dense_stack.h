// Linear layers with ReLU between them, from the weights "<name>.layer<i>": towers, experts, heads.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "retort/bundle/safetensors.h"
#include "retort/kernel/dense.h"

namespace retort {

class DenseStack {
 public:
  /// `in`: width of the input; `layers`: widths of the outputs. Throws DataError if a weight is
  /// missing or of the wrong shape. `weights` must outlive the stack.
  DenseStack(const SafetensorsFile& weights, const std::string& name, int64_t in,
             std::span<const int32_t> layers, bool relu_after_last);
  /// x [R, in] -> out [R, last of layers]; without layers a copy. `x` is used as scratch.
  void forward(std::vector<float>& x, std::span<float> out) const;

 private:
  struct Layer {
    PackedMatrix weight;
    std::span<const float> bias;
  };
  std::vector<Layer> layers_;
  bool relu_after_last_;
};

}  // namespace retort
