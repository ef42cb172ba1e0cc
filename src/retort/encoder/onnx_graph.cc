#include "retort/encoder/onnx_graph.h"

#include "retort/bundle/model_weights.h"
#include "retort/bundle/table_storage.h"
#include "retort/common/error.h"

namespace retort {
namespace {

constexpr uint64_t kMostBytes = (uint64_t{1} << 31) - (1 << 20);  // protobuf's limit

template <class T>
std::string_view raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

}  // namespace

OnnxValue OnnxGraph::input(const std::string& name, onnx::Type type,
                           std::vector<onnx::Extent> shape) {
  graph_.inputs.push_back(onnx::value_info(name, type, shape));
  return name;
}

void OnnxGraph::output(const OnnxValue& value, const std::string& name,
                       std::vector<onnx::Extent> shape) {
  const std::vector<std::string> from{value}, to{name};
  graph_.nodes.push_back(onnx::node("Identity", name, from, to, {}));
  graph_.outputs.push_back(onnx::value_info(name, onnx::Type::kFloat, shape));
}

OnnxValue OnnxGraph::node(const std::string& op, std::vector<OnnxValue> inputs,
                          std::vector<onnx::Attribute> attributes) {
  return node_of(1, op, std::move(inputs), std::move(attributes)).front();
}

std::vector<OnnxValue> OnnxGraph::node_of(int outputs, const std::string& op,
                                          std::vector<OnnxValue> inputs,
                                          std::vector<onnx::Attribute> attributes) {
  std::vector<OnnxValue> made;
  for (int i = 0; i < outputs; ++i) made.push_back(fresh());
  graph_.nodes.push_back(onnx::node(op, op + "_" + made.front(), inputs, made, attributes));
  return made;
}

OnnxValue OnnxGraph::initializer(const std::string& name, onnx::Type type,
                                 const std::vector<int64_t>& shape, std::string_view bytes) {
  if (!initializers_.insert(name).second) return name;
  bytes_ += bytes.size();
  if (bytes_ > kMostBytes)
    fail<DataError>(
        "ONNX: with '{}' the weights of a tower take {} bytes, and a file holds at most 2 GiB; "
        "publish the run with --embeddings int8",
        name, bytes_);
  graph_.initializers.push_back(onnx::tensor(name, type, shape, bytes));
  return name;
}

OnnxValue OnnxGraph::integers(const std::vector<int64_t>& values) {
  return initializer(fresh(), onnx::Type::kInt64, {std::ssize(values)}, raw(values));
}

OnnxValue OnnxGraph::number(float value) {
  return initializer(fresh(), onnx::Type::kFloat, {}, raw(std::vector<float>{value}));
}

OnnxValue OnnxGraph::floats(const std::vector<int64_t>& shape, const std::vector<float>& values) {
  return initializer(fresh(), onnx::Type::kFloat, shape, raw(values));
}

OnnxValue OnnxGraph::weight(const std::string& name, const std::vector<int64_t>& shape) {
  const auto values = weights_.floats(name, shape);
  return initializer(name, onnx::Type::kFloat, shape,
                     {reinterpret_cast<const char*>(values.data()), values.size_bytes()});
}

OnnxValue OnnxGraph::concat(const std::vector<OnnxValue>& parts, int64_t axis) {
  return parts.size() == 1 ? parts.front() : node("Concat", parts, {{"axis", axis}});
}

OnnxValue OnnxGraph::linear(const OnnxValue& x, const std::string& name, int64_t in, int64_t out,
                            bool bias) {
  std::vector<OnnxValue> inputs{x, weight(name + ".weight", {out, in})};
  if (bias) inputs.push_back(weight(name + ".bias", {out}));
  return node("Gemm", inputs, {{"transB", int64_t{1}}});
}

OnnxValue OnnxGraph::stack(OnnxValue x, const std::string& name, int64_t in,
                           std::span<const int32_t> layers, bool relu_after_last) {
  for (size_t i = 0; i < layers.size(); ++i) {
    x = linear(x, fmt::format("{}.layer{}", name, i), in, layers[i], true);
    if (i + 1 < layers.size() || relu_after_last) x = node("Relu", {x});
    in = layers[i];
  }
  return x;
}

OnnxValue OnnxGraph::rows_of(const FieldSpec& field, const OnnxValue& ids) {
  const RowTable table = stored_table(weights_, field);
  const std::string name = field.table + ".weight";
  const auto size = static_cast<size_t>(table.rows * table.dim);
  const auto bytes = [&](const void* data, size_t width) {
    return std::string_view(static_cast<const char*>(data), size * width);
  };
  const std::vector<int64_t> shape{table.rows, table.dim};
  const auto widened = [&](onnx::Type type, const void* data, size_t width) {
    const OnnxValue stored = initializer(name, type, shape, bytes(data, width));
    return node("Cast", {node("Gather", {stored, ids})},
                {{"to", static_cast<int64_t>(onnx::Type::kFloat)}});
  };
  if (table.bf16 != nullptr) return widened(onnx::Type::kBfloat16, table.bf16, 2);
  if (table.int8 != nullptr) {
    const OnnxValue rows = widened(onnx::Type::kInt8, table.int8, 1);
    const OnnxValue scales = weight(field.table + ".scale", {table.rows});
    const OnnxValue scale = node("Unsqueeze", {node("Gather", {scales, ids}), integers({-1})});
    return node("Mul", {rows, scale});
  }
  return node("Gather",
              {initializer(name, onnx::Type::kFloat, shape, bytes(table.floats, 4)), ids});
}

OnnxValue OnnxGraph::gated(const OnnxValue& x, const std::string& gate, int64_t in,
                           const std::vector<OnnxValue>& experts) {
  const OnnxValue shares =
      node("Softmax", {linear(x, gate, in, std::ssize(experts), false)}, {{"axis", int64_t{-1}}});
  const OnnxValue axis = integers({1});
  std::vector<OnnxValue> stacked;
  for (const OnnxValue& expert : experts) stacked.push_back(node("Unsqueeze", {expert, axis}));
  const OnnxValue sum =
      node("MatMul", {node("Unsqueeze", {shares, axis}), concat(stacked, 1)});  // [rows, 1, width]
  return node("Squeeze", {sum, axis});
}

std::vector<OnnxValue> OnnxGraph::mixture(std::vector<OnnxValue> fields, const std::string& name,
                                          const std::vector<int32_t>& widths,
                                          const MixtureSpec& spec) {
  if (spec.product_dim > 0 && fields.size() > 1)
    fields.push_back(products(fields, name, widths, spec.product_dim));
  const OnnxValue x = concat(fields, 1);
  const int64_t width = mixture_width(spec, widths);
  std::vector<OnnxValue> experts, vectors;
  for (int32_t k = 0; k < spec.experts; ++k)
    experts.push_back(
        stack(x, fmt::format("{}.expert{}", name, k), width, spec.expert_layers, true));
  for (const std::string& task : spec.tasks)
    vectors.push_back(stack(gated(x, fmt::format("{}.gate_{}", name, task), width, experts),
                            fmt::format("{}.head_{}", name, task), spec.expert_layers.back(),
                            spec.head_layers, false));
  return vectors;
}

/// <W_i f_i, W_j f_j> of all pairs i < j.
OnnxValue OnnxGraph::products(const std::vector<OnnxValue>& fields, const std::string& name,
                              const std::vector<int32_t>& widths, int64_t dim) {
  const auto count = std::ssize(fields);
  std::vector<OnnxValue> projected;
  std::vector<int64_t> places;
  for (int64_t i = 0; i < count; ++i) {
    const auto at = static_cast<size_t>(i);
    const OnnxValue one =
        linear(fields[at], fmt::format("{}.product{}", name, i), widths[at], dim, false);
    projected.push_back(node("Unsqueeze", {one, integers({1})}));
    for (int64_t j = i + 1; j < count; ++j) places.push_back(i * count + j);
  }
  const OnnxValue all = concat(projected, 1);  // [batch, fields, dim]
  const OnnxValue turned = node("Transpose", {all}, {{"perm", std::vector<int64_t>{0, 2, 1}}});
  const OnnxValue flat =
      node("Reshape", {node("MatMul", {all, turned}), integers({0, count * count})});
  return node("Gather", {flat, integers(places)}, {{"axis", int64_t{1}}});
}

std::string OnnxGraph::file(const std::string& name,
                            const std::vector<std::pair<std::string, std::string>>& notes) {
  graph_.name = name;
  return onnx::model(graph_, notes);
}

}  // namespace retort
