// The messages of an ONNX file, in protobuf's wire format: as few of them as a graph of layers
// needs. What reads them is ONNX Runtime, in the tests too.
// Source: onnx.proto (IR version 8); "Protocol Buffers: Encoding".
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace retort::onnx {

/// TensorProto.DataType.
enum class Type { kFloat = 1, kInt8 = 3, kInt64 = 7, kBool = 9, kBfloat16 = 16 };

/// A size, or the name of one that a caller chooses.
using Extent = std::variant<int64_t, std::string>;

struct Attribute {
  std::string name;
  std::variant<int64_t, float, std::vector<int64_t>> value;
};

/// Serialised messages, to be put into one another.
std::string node(const std::string& op, const std::string& name,
                 std::span<const std::string> inputs, std::span<const std::string> outputs,
                 std::span<const Attribute> attributes);
std::string tensor(const std::string& name, Type type, std::span<const int64_t> shape,
                   std::string_view bytes);
std::string value_info(const std::string& name, Type type, std::span<const Extent> shape);

struct Graph {
  std::string name;
  std::vector<std::string> nodes, initializers, inputs, outputs;
};
/// The file: opset 17, `notes` as metadata.
std::string model(const Graph& graph, std::span<const std::pair<std::string, std::string>> notes);

}  // namespace retort::onnx
