#include "retort/encoder/onnx_inputs.h"

#include <cmath>

#include "retort/common/error.h"

namespace retort {
namespace {

constexpr float kNothing = -1e9F;  // added to the attention paid to padding
const std::string kBatch = "batch";

Json described(const std::string& name, const char* dtype, const Json& shape, const Json& more) {
  Json one{{"name", name}, {"dtype", dtype}, {"shape", shape}};
  one.update(more);
  return one;
}

}  // namespace

std::string OnnxInputs::prefix() const {
  return input_.side == Side::kUser ? "user." : input_.side == Side::kItem ? "item." : "pair.";
}

std::vector<OnnxValue> OnnxInputs::parts(const std::vector<SequenceSpec>& sequences) {
  std::vector<OnnxValue> parts;
  for (const FieldSpec& field : input_.fields) parts.push_back(pooled(field));
  if (input_.dense_width > 0) parts.push_back(dense());
  for (const SequenceSpec& spec : sequences) parts.push_back(sequence(spec));
  return parts;
}

OnnxValue OnnxInputs::floats(const std::string& name, const std::vector<onnx::Extent>& shape,
                             const Json& more) {
  Json extents = Json::array();
  for (const onnx::Extent& extent : shape)
    std::visit([&](const auto& size) { extents.push_back(size); }, extent);
  inputs_.push_back(described(name, "float32", extents, more));
  return graph_.input(name, onnx::Type::kFloat, shape);
}

const FeatureSpec& OnnxInputs::feature(const FieldSpec& field) const {
  const FeatureSpec* found = schema_.find(field.feature);
  if (found == nullptr)
    fail<DataError>("ONNX: the model's feature '{}' is not in the schema", field.feature);
  return *found;
}

/// The input of a feature's ids; `steps` names how many there are, "" of a single one.
OnnxValue OnnxInputs::ids_of(const FieldSpec& field, const std::string& steps) {
  const std::string name = prefix() + field.feature;
  if (!known_.insert(name).second) return name;
  const FeatureSpec& spec = feature(field);
  Json more{{"feature", field.feature}, {"rows", field.rows}};
  if (!spec.vocabulary.empty()) more["vocabulary"] = spec.vocabulary;
  if (spec.last > 0) more["longest"] = spec.last;
  if (spec.transform.kind == "bucket") more["boundaries"] = spec.transform.boundaries;
  if (steps.empty()) {
    inputs_.push_back(described(name, "int64", {kBatch}, more));
    return graph_.input(name, onnx::Type::kInt64, {kBatch});
  }
  more["padding"] = -1;
  inputs_.push_back(described(name, "int64", {kBatch, steps}, more));
  return graph_.input(name, onnx::Type::kInt64, {kBatch, steps});
}

OnnxInputs::Steps OnnxInputs::masked(const OnnxValue& padded) {
  const OnnxValue zero = graph_.integers({0});
  const OnnxValue there = graph_.node("GreaterOrEqual", {padded, zero});
  return {graph_.node("Max", {padded, zero}),
          graph_.node("Cast", {there}, {{"to", static_cast<int64_t>(onnx::Type::kFloat)}})};
}

OnnxValue OnnxInputs::unsqueezed(const OnnxValue& value, const std::vector<int64_t>& axes) {
  return graph_.node("Unsqueeze", {value, graph_.integers(axes)});
}

/// Over the steps: [batch, steps, d] -> [batch, d].
OnnxValue OnnxInputs::summed(const OnnxValue& value) {
  return graph_.node("ReduceSum", {value, graph_.integers({1})}, {{"keepdims", int64_t{0}}});
}

/// [batch, dim]
OnnxValue OnnxInputs::pooled(const FieldSpec& field) {
  if (feature(field).kind == FeatureKind::kCategorical)
    return graph_.rows_of(field, ids_of(field, ""));
  const Steps steps = masked(ids_of(field, field.feature + ".steps"));
  const OnnxValue mask = unsqueezed(steps.mask, {-1});
  const OnnxValue sum = summed(graph_.node("Mul", {graph_.rows_of(field, steps.ids), mask}));
  if (field.pooling == "sum") return sum;
  return graph_.node("Div", {sum, graph_.node("Max", {summed(mask), graph_.number(1)})});
}

/// x W^T + b of [batch, steps, in].
OnnxValue OnnxInputs::step_linear(const OnnxValue& x, const OnnxValue& weight,
                                  const OnnxValue& bias) {
  const OnnxValue turned =
      graph_.node("Transpose", {weight}, {{"perm", std::vector<int64_t>{1, 0}}});
  return graph_.node("Add", {graph_.node("MatMul", {x, turned}), bias});
}

OnnxValue OnnxInputs::attention(const OnnxValue& x, const OnnxValue& unseen,
                                const SequenceSpec& spec, const std::string& block) {
  const int64_t dim = spec.dim(), heads = spec.heads, width = dim / heads;
  const OnnxValue qkv =
      step_linear(x, graph_.weight(block + "self_attn.in_proj_weight", {3 * dim, dim}),
                  graph_.weight(block + "self_attn.in_proj_bias", {3 * dim}));
  const std::vector<OnnxValue> parts = graph_.node_of(3, "Split", {qkv}, {{"axis", int64_t{2}}});
  const OnnxValue by_head = graph_.integers({0, 0, heads, width});
  const auto turned = [&](const OnnxValue& part, std::vector<int64_t> order) {
    return graph_.node("Transpose", {graph_.node("Reshape", {part, by_head})},
                       {{"perm", std::move(order)}});
  };
  const OnnxValue products =
      graph_.node("MatMul", {turned(parts[0], {0, 2, 1, 3}), turned(parts[1], {0, 2, 3, 1})});
  const OnnxValue scaled =
      graph_.node("Mul", {products, graph_.number(1 / std::sqrt(static_cast<float>(width)))});
  const OnnxValue shares =
      graph_.node("Softmax", {graph_.node("Add", {scaled, unseen})}, {{"axis", int64_t{-1}}});
  const OnnxValue seen =
      graph_.node("Transpose", {graph_.node("MatMul", {shares, turned(parts[2], {0, 2, 1, 3})})},
                  {{"perm", std::vector<int64_t>{0, 2, 1, 3}}});
  return step_linear(graph_.node("Reshape", {seen, graph_.integers({0, 0, dim})}),
                     graph_.weight(block + "self_attn.out_proj.weight", {dim, dim}),
                     graph_.weight(block + "self_attn.out_proj.bias", {dim}));
}

OnnxValue OnnxInputs::normed(const OnnxValue& x, const OnnxValue& added, const std::string& name,
                             int64_t dim) {
  return graph_.node("LayerNormalization",
                     {graph_.node("Add", {x, added}), graph_.weight(name + ".weight", {dim}),
                      graph_.weight(name + ".bias", {dim})},
                     {{"axis", int64_t{-1}}, {"epsilon", 1e-5F}});
}

OnnxValue OnnxInputs::transformer_layer(const OnnxValue& x, const OnnxValue& unseen,
                                        const SequenceSpec& spec, const std::string& block) {
  const int64_t dim = spec.dim(), hidden = spec.hidden;
  const auto linear = [&](const OnnxValue& of, const char* name, int64_t in, int64_t out) {
    const std::string full = block + name;
    return step_linear(of, graph_.weight(full + ".weight", {out, in}),
                       graph_.weight(full + ".bias", {out}));
  };
  const OnnxValue seen = normed(x, attention(x, unseen, spec, block), block + "norm1", dim);
  const OnnxValue wide = graph_.node("Relu", {linear(seen, "linear1", dim, hidden)});
  return normed(seen, linear(wide, "linear2", hidden, dim), block + "norm2", dim);
}

/// SequenceEncoder: [batch, dim].
OnnxValue OnnxInputs::sequence(const SequenceSpec& spec) {
  OnnxValue steps, mask;
  for (const FieldSpec& field : spec.fields) {
    const OnnxValue cut = graph_.node(
        "Slice", {ids_of(field, spec.fields.front().feature + ".steps"), graph_.integers({0}),
                  graph_.integers({spec.length}), graph_.integers({1})});
    const Steps part = masked(cut);
    const OnnxValue rows = graph_.rows_of(field, part.ids);
    if (mask.empty()) mask = part.mask;
    steps = steps.empty() ? rows : graph_.node("Mul", {steps, rows});
  }
  if (spec.layers > 0) {
    const OnnxValue count =
        graph_.node("Shape", {mask}, {{"start", int64_t{1}}, {"end", int64_t{2}}});
    const OnnxValue positions =
        graph_.node("Slice", {graph_.weight(spec.name + ".positions", {spec.length, spec.dim()}),
                              graph_.integers({0}), count, graph_.integers({0})});
    steps = graph_.node("Add", {steps, positions});
    const OnnxValue padding = graph_.node("Sub", {graph_.number(1), mask});
    const OnnxValue unseen =
        unsqueezed(graph_.node("Mul", {padding, graph_.number(kNothing)}), {1, 2});
    for (int32_t i = 0; i < spec.layers; ++i)
      steps = transformer_layer(steps, unseen, spec, fmt::format("{}.block{}.", spec.name, i));
  }
  return summed(graph_.node("Mul", {steps, unsqueezed(mask, {-1})}));
}

OnnxValue OnnxInputs::dense() {
  const int64_t width = input_.dense_width;
  Json features = Json::array();
  for (const int index : schema_.dense_of(input_.side)) {
    const FeatureSpec& spec = schema_.features[static_cast<size_t>(index)];
    const Transform& transform = spec.transform;
    Json one{{"feature", spec.name}, {"width", spec.width}, {"transform", transform.kind}};
    if (transform.kind == "standard")
      one.update({{"mean", transform.mean}, {"deviation", transform.deviation}});
    features.push_back(one);
  }
  return floats(prefix() + "dense", {kBatch, width}, {{"features", features}});
}

}  // namespace retort
