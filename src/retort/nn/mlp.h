// A stack of linear layers with ReLU between them.
#pragma once

#include <string>
#include <vector>

#include <torch/torch.h>

#include "retort/nn/init.h"

namespace retort {

struct MlpOptions {
  int64_t input = 0;
  std::vector<int32_t> layers;  // outputs of each layer, not empty
  bool relu_after_last = false;
};

/// Parameters "layer<i>.weight" [out, in] and "layer<i>.bias" [out]: file format (ModelSpec).
/// Source: towers of DMTL sec. 3.1.4; the last layer is linear unless `relu_after_last`.
struct MlpImpl : torch::nn::Module {
  explicit MlpImpl(MlpOptions options);
  /// @param x [R, input]   @return [R, layers.back()]
  torch::Tensor forward(torch::Tensor x);
  /// `name` is the module's own full name.
  void initialise(const Rng& init, const std::string& name);

  const MlpOptions options;
  std::vector<torch::nn::Linear> layers;
};
TORCH_MODULE(Mlp);

}  // namespace retort
