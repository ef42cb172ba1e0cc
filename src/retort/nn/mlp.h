// A stack of linear layers with ReLU between them.
#pragma once

#include <string>
#include <vector>

#include <torch/torch.h>

#include "retort/nn/dense_layer.h"
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
  /// @param x [R, input]; in bf16 with columns of zeros behind, if any
  /// @return [R, layers.back()], fp32, or bf16 where x is and a ReLU comes last
  torch::Tensor forward(const torch::Tensor& x);
  torch::Tensor forward(const GroupedRows& x);
  /// What forward() runs, for stacks over one input.
  DenseStack dense_layers() const;
  /// `name` is the module's own full name.
  void initialise(const Rng& init, const std::string& name);

  const MlpOptions options;
  std::vector<torch::nn::Linear> layers;

 private:
  std::vector<std::shared_ptr<DensePlans>> plans_;
};
TORCH_MODULE(Mlp);

/// The weight of each one's last layer.
std::vector<torch::Tensor> last_weights(const std::vector<Mlp>& stacks);

}  // namespace retort
