// Experts shared by tasks, behind products of the input's fields: the top of RRA's retrieval and
// ranking models.
#pragma once

#include <string>
#include <vector>

#include <torch/torch.h>

#include "retort/bundle/model_spec.h"
#include "retort/common/rng.h"
#include "retort/nn/mlp.h"

namespace retort {

/// A MixtureSpec as modules placed below `root` at "<prefix>.product<i>", ".expert<k>",
/// ".gate_<task>", ".head_<task>".
/// Source: RRA sec. 4.2.3, fig. 2; PNN (inner products): Qu et al., ICDM 2016, sec. III-B; MMoE: Ma
/// et al., KDD 2018, eq. 5-6.
/// Shapes: fields [R, width_i] fp32; one output a task, [R, head_layers.back()] fp32.
class Mixture {
 public:
  Mixture(torch::nn::Module& root, std::string prefix, const std::vector<int32_t>& widths,
          MixtureSpec spec);
  std::vector<torch::Tensor> forward(const std::vector<torch::Tensor>& fields);
  /// Of the experts' last layers.
  std::vector<torch::Tensor> common_weights() const { return last_weights(experts_); }
  void initialise(const Rng& init);

 private:
  torch::Tensor with_products(const std::vector<torch::Tensor>& fields);

  std::string prefix_;
  MixtureSpec spec_;
  std::vector<torch::nn::Linear> products_, gates_;
  std::vector<Mlp> experts_, heads_;
  std::shared_ptr<DensePlans> gate_plans_ = std::make_shared<DensePlans>();
};

}  // namespace retort
