// Names and shapes of a model's weights: the file format that ModelSpec's comments describe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "retort/bundle/model_spec.h"

namespace retort {

struct WeightShape {
  std::string name;
  std::vector<int64_t> shape;
};

/// All weights of a tower but its tables, in the order of computation.
std::vector<WeightShape> layer_weights(const TowerSpec& tower);

/// Names of a tower's stacks of `layers`: its own, or of each of its towers.
std::vector<std::string> stack_names(const TowerSpec& tower);

/// Widths of a learned gate's layers, the last with an output a task.
std::vector<int32_t> gate_layers(const GateSpec& gate);

/// Every field of a tower that looks up a table: of the input, then of the sequences. Several may
/// share a table.
std::vector<FieldSpec> table_fields(const TowerSpec& tower);

/// Widths of the fields f_1 .. f_F that MixtureSpec multiplies.
std::vector<int32_t> mixture_fields(const TowerSpec& tower);

/// Width of x, what experts and gates see: `fields` side by side and their products.
int64_t mixture_width(const MixtureSpec& mixture, const std::vector<int32_t>& fields);

}  // namespace retort
