// The first layer of every model: features of one side to one row of numbers each.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <torch/torch.h>

#include "retort/bundle/model_spec.h"
#include "retort/nn/embedding.h"
#include "retort/nn/mixed_input.h"

namespace retort {

/// Tables by full name, "user.user_id".
using TableMap = std::map<std::string, EmbeddingTable>;

/// Makes the tables that `specs` name, each once, and registers them below `root` under their
/// names. Throws ConfigError if two fields want one table with different sizes.
TableMap make_tables(torch::nn::Module& root, const std::vector<const InputSpec*>& specs);

class InputLayer;
struct SideInput {
  InputLayer* layer;
  const SideTensors* side;
};
/// What each layer makes of its side, side by side; all sides have equally many rows.
/// @return [rows, sum of widths] fp32; where MixedPrecision is active bf16 [rows,
///   padded_width(sum of widths)], zeros behind
torch::Tensor join_inputs(const std::vector<SideInput>& inputs);

/// Pooled embeddings in the order of `spec.fields`, then the dense values. Holds references to
/// tables that its model owns.
class InputLayer {
 public:
  InputLayer() = default;
  InputLayer(InputSpec spec, const TableMap& tables);
  /// Throws ArgumentError if the side's columns do not fit the spec.
  /// @return [rows, width()] fp32; where MixedPrecision is active bf16
  ///   [rows, padded_width(width())], zeros behind the width
  torch::Tensor forward(const SideTensors& side);
  int32_t width() const { return spec_.width(); }

 private:
  friend torch::Tensor join_inputs(const std::vector<SideInput>& inputs);
  SparseTensor column(const SideTensors& side, size_t field) const;
  MixedPart mixed_part(const SideTensors& side) const;
  torch::Tensor plain(const SideTensors& side);
  void check_side(const SideTensors& side) const;

  InputSpec spec_;
  std::vector<EmbeddingTable> tables_;  // [fields]
  std::vector<Pooling> pooling_;        // [fields]
};

}  // namespace retort
