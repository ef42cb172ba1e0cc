#include "retort/bundle/model_weights.h"

#include <numeric>

#include <fmt/format.h>

namespace retort {
namespace {

class Listing {
 public:
  void add(const std::string& name, std::vector<int64_t> shape) {
    weights.push_back({name, std::move(shape)});
  }
  void add_linear(const std::string& name, int64_t in, int64_t out) {
    add(name + ".weight", {out, in});
    add(name + ".bias", {out});
  }
  /// "<name>.layer<i>"
  void add_layers(const std::string& name, int64_t in, const std::vector<int32_t>& layers) {
    for (size_t i = 0; i < layers.size(); ++i) {
      add_linear(fmt::format("{}.layer{}", name, i), in, layers[i]);
      in = layers[i];
    }
  }
  std::vector<WeightShape> weights;
};

void add_sequence(const SequenceSpec& sequence, Listing& to) {
  if (sequence.layers == 0) return;
  const int64_t dim = sequence.dim();
  to.add(sequence.name + ".positions", {sequence.length, dim});
  for (int32_t i = 0; i < sequence.layers; ++i) {
    const std::string block = fmt::format("{}.block{}.", sequence.name, i);
    to.add(block + "self_attn.in_proj_weight", {3 * dim, dim});
    to.add(block + "self_attn.in_proj_bias", {3 * dim});
    to.add_linear(block + "self_attn.out_proj", dim, dim);
    to.add_linear(block + "linear1", dim, sequence.hidden);
    to.add_linear(block + "linear2", sequence.hidden, dim);
    for (const char* norm : {"norm1", "norm2"}) {
      to.add(block + norm + ".weight", {dim});
      to.add(block + norm + ".bias", {dim});
    }
  }
}

void add_mixture(const TowerSpec& tower, Listing& to) {
  const MixtureSpec& mixture = *tower.mixture;
  const std::vector<int32_t> fields = mixture_fields(tower);
  if (mixture.product_dim > 0)
    for (size_t i = 0; i < fields.size(); ++i)
      to.add(fmt::format("{}.product{}.weight", tower.name, i), {mixture.product_dim, fields[i]});
  const int64_t width = mixture_width(mixture, fields);
  for (int32_t k = 0; k < mixture.experts; ++k)
    to.add_layers(fmt::format("{}.expert{}", tower.name, k), width, mixture.expert_layers);
  for (const std::string& task : mixture.tasks) {
    to.add(fmt::format("{}.gate_{}.weight", tower.name, task), {mixture.experts, width});
    to.add_layers(fmt::format("{}.head_{}", tower.name, task), mixture.expert_layers.back(),
                  mixture.head_layers);
  }
}

}  // namespace

std::vector<WeightShape> layer_weights(const TowerSpec& tower) {
  Listing listing;
  for (const SequenceSpec& sequence : tower.sequences) add_sequence(sequence, listing);
  if (tower.mixture) {
    add_mixture(tower, listing);
    return listing.weights;
  }
  for (const std::string& stack : stack_names(tower))
    listing.add_layers(stack, tower.input_width(), tower.layers);
  if (tower.gate && tower.gate->kind == "learned")
    listing.add_layers(tower.name + ".gate", tower.input_width(), gate_layers(*tower.gate));
  return listing.weights;
}

std::vector<std::string> stack_names(const TowerSpec& tower) {
  if (tower.towers.empty()) return {tower.name};
  std::vector<std::string> names;
  for (const std::string& task : tower.towers) names.push_back(tower.name + ".tower_" + task);
  return names;
}

std::vector<int32_t> gate_layers(const GateSpec& gate) {
  std::vector<int32_t> layers = gate.layers;
  layers.push_back(static_cast<int32_t>(gate.tasks.size()));
  return layers;
}

std::vector<FieldSpec> table_fields(const TowerSpec& tower) {
  std::vector<FieldSpec> fields = tower.input.fields;
  for (const SequenceSpec& sequence : tower.sequences)
    fields.insert(fields.end(), sequence.fields.begin(), sequence.fields.end());
  return fields;
}

std::vector<int32_t> mixture_fields(const TowerSpec& tower) {
  std::vector<int32_t> widths;
  for (const FieldSpec& field : tower.input.fields) widths.push_back(field.dim);
  if (tower.input.dense_width > 0) widths.push_back(tower.input.dense_width);
  for (const SequenceSpec& sequence : tower.sequences) widths.push_back(sequence.dim());
  return widths;
}

int64_t mixture_width(const MixtureSpec& mixture, const std::vector<int32_t>& fields) {
  const int64_t width = std::accumulate(fields.begin(), fields.end(), int64_t{0});
  const int64_t count = std::ssize(fields);
  return mixture.product_dim > 0 ? width + count * (count - 1) / 2 : width;
}

}  // namespace retort
