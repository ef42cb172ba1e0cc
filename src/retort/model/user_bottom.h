// The lower half of a user side with sequences: what RRA's retrieval and ranking models share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <torch/torch.h>

#include "retort/bundle/model_spec.h"
#include "retort/nn/sequence.h"

namespace retort {

/// Tables and sequences of a TowerSpec; its outputs are the fields that a Mixture takes.
/// Source: RRA sec. 4.2.2. Shapes: fields [G, width_i] fp32.
class UserBottom {
 public:
  /// Registers the sequences' modules below `root` at their names.
  UserBottom(torch::nn::Module& root, const TowerSpec& tower, const TableMap& tables);
  /// Computed once a batch for all that share this bottom.
  std::vector<torch::Tensor> forward(const SideTensors& users);
  std::vector<int32_t> widths() const;
  void initialise(const Rng& init);

 private:
  InputSpec spec_;
  InputLayer input_;
  std::vector<SequencePool> sequences_;
};

/// All fields of a tower, those of its sequences too: what make_tables is to make.
InputSpec all_fields(const TowerSpec& tower);

/// Widths of an input's fields in order; its dense values are one field.
std::vector<int32_t> field_widths(const InputSpec& input);
/// The input's fields, fp32 also where MixedPrecision is active.
std::vector<torch::Tensor> split_fields(InputLayer& layer, const InputSpec& input,
                                        const SideTensors& side);

}  // namespace retort
