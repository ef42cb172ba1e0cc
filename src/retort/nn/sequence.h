// A user's sequence as one vector: aligned fields multiplied step by step, a bidirectional
// transformer over the steps, their sum.
#pragma once

#include <string>
#include <vector>

#include <torch/torch.h>

#include "retort/bundle/model_spec.h"
#include "retort/common/rng.h"
#include "retort/nn/attention.h"
#include "retort/nn/dense_layer.h"
#include "retort/nn/input.h"

namespace retort {

/// Post-norm transformer layer: self-attention over a row's own steps, then two dense layers.
/// Source: Vaswani et al. 2017, sec. 3.1; names as torch.nn.TransformerEncoderLayer.
/// Shapes: steps [S, D] -> [S, D].
struct TransformerBlockImpl : torch::nn::Module {
  TransformerBlockImpl(int64_t dim, int64_t heads, int64_t hidden);
  torch::Tensor forward(const torch::Tensor& steps, const StepLayout& layout);
  void initialise(const Rng& init, const std::string& name);
  /// The initial deviation of an output value.
  void scale_output(double factor);

 private:
  /// A dense layer of the block, in bf16 where MixedPrecision is active.
  torch::Tensor dense(size_t which, const torch::Tensor& x, const torch::Tensor& weight,
                      const torch::Tensor& bias, bool relu);

  int64_t heads_;
  torch::Tensor in_weight_, in_bias_;
  torch::nn::Linear out_{nullptr}, linear1_{nullptr}, linear2_{nullptr};
  torch::nn::LayerNorm norm1_{nullptr}, norm2_{nullptr};
  std::vector<std::shared_ptr<DensePlans>> plans_;
};
TORCH_MODULE(TransformerBlock);

/// A SequenceSpec as a module; its parameters are those that the spec names.
/// Source: RRA sec. 4.2.2 (side information "integrated through multiplication"; sum pooling).
struct SequencePoolImpl : torch::nn::Module {
  SequencePoolImpl(SequenceSpec spec, const TableMap& tables);
  /// @return [G, dim], zeros for an empty row
  torch::Tensor forward(const SideTensors& side);
  /// Positions N(0, 0.02^2). The last block starts with outputs of deviation 1 / sqrt(length), so
  /// that the sum of a long row is no larger than other fields are: left at 1, products of such
  /// sums drown all else and a model learns popularity alone.
  void initialise(const Rng& init);

  const SequenceSpec spec;

 private:
  const SparseTensor& column(const SideTensors& side, size_t field) const;
  /// [S, dim] products of the fields' rows.
  torch::Tensor multiply(const SideTensors& side);

  std::vector<EmbeddingTable> tables_;
  torch::Tensor positions_;  // [length, dim]; undefined without layers
  std::vector<TransformerBlock> blocks_;
};
TORCH_MODULE(SequencePool);

}  // namespace retort
