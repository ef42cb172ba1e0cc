#include "retort/model/user_bottom.h"

#include "retort/nn/mixed_precision.h"

namespace retort {

UserBottom::UserBottom(torch::nn::Module& root, const TowerSpec& tower, const TableMap& tables)
    : spec_(tower.input), input_(tower.input, tables) {
  for (const SequenceSpec& sequence : tower.sequences) {
    sequences_.emplace_back(sequence, tables);
    place_module(root, sequence.name, sequences_.back().ptr());
  }
}

std::vector<torch::Tensor> UserBottom::forward(const SideTensors& users) {
  std::vector<torch::Tensor>& fields = (*users.memo)[{this, torch::GradMode::is_enabled()}];
  if (!fields.empty()) return fields;
  fields = split_fields(input_, spec_, users);
  for (SequencePool& sequence : sequences_) fields.push_back(sequence->forward(users));
  return fields;
}

std::vector<int32_t> UserBottom::widths() const {
  std::vector<int32_t> widths = field_widths(spec_);
  for (const SequencePool& sequence : sequences_) widths.push_back(sequence->spec.dim());
  return widths;
}

void UserBottom::initialise(const Rng& init) {
  for (SequencePool& sequence : sequences_) sequence->initialise(init);
}

InputSpec all_fields(const TowerSpec& tower) {
  InputSpec all = tower.input;
  for (const SequenceSpec& sequence : tower.sequences)
    all.fields.insert(all.fields.end(), sequence.fields.begin(), sequence.fields.end());
  return all;
}

std::vector<int32_t> field_widths(const InputSpec& input) {
  std::vector<int32_t> widths;
  for (const FieldSpec& field : input.fields) widths.push_back(field.dim);
  if (input.dense_width > 0) widths.push_back(input.dense_width);
  return widths;
}

std::vector<torch::Tensor> split_fields(InputLayer& layer, const InputSpec& input,
                                        const SideTensors& side) {
  const std::vector<int32_t> widths = field_widths(input);
  if (widths.empty()) return {};
  const MixedPrecision fp32(false);
  const std::vector<int64_t> sizes(widths.begin(), widths.end());
  return layer.forward(side).split_with_sizes(sizes, 1);
}

}  // namespace retort
