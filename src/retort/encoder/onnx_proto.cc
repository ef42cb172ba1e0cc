#include "retort/encoder/onnx_proto.h"

#include <bit>

namespace retort::onnx {
namespace {

constexpr int64_t kIrVersion = 8, kOpset = 17;

class Message {
 public:
  void number(int field, int64_t value) {
    key(field, 0);
    varint(static_cast<uint64_t>(value));
  }
  void real(int field, float value) {
    key(field, 5);
    const auto bits = std::bit_cast<uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8)
      bytes_.push_back(static_cast<char>(bits >> shift & 0xff));
  }
  void text(int field, std::string_view value) {
    key(field, 2);
    varint(value.size());
    bytes_.append(value);
  }
  std::string take() { return std::move(bytes_); }

 private:
  void key(int field, int wire_type) { varint(static_cast<uint64_t>(field << 3 | wire_type)); }
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<char>(value | 0x80));
    bytes_.push_back(static_cast<char>(value));
  }
  std::string bytes_;
};

std::string attribute(const Attribute& of) {
  constexpr int64_t kFloat = 1, kInt = 2, kInts = 7;  // AttributeProto.AttributeType
  Message message;
  message.text(1, of.name);
  if (const auto* number = std::get_if<int64_t>(&of.value)) {
    message.number(3, *number);
    message.number(20, kInt);
  } else if (const auto* real = std::get_if<float>(&of.value)) {
    message.real(2, *real);
    message.number(20, kFloat);
  } else {
    for (const int64_t value : std::get<std::vector<int64_t>>(of.value)) message.number(8, value);
    message.number(20, kInts);
  }
  return message.take();
}

}  // namespace

std::string node(const std::string& op, const std::string& name,
                 std::span<const std::string> inputs, std::span<const std::string> outputs,
                 std::span<const Attribute> attributes) {
  Message message;
  for (const std::string& input : inputs) message.text(1, input);
  for (const std::string& output : outputs) message.text(2, output);
  message.text(3, name);
  message.text(4, op);
  for (const Attribute& one : attributes) message.text(5, attribute(one));
  return message.take();
}

std::string tensor(const std::string& name, Type type, std::span<const int64_t> shape,
                   std::string_view bytes) {
  Message message;
  for (const int64_t extent : shape) message.number(1, extent);
  message.number(2, static_cast<int64_t>(type));
  message.text(8, name);
  message.text(9, bytes);
  return message.take();
}

std::string value_info(const std::string& name, Type type, std::span<const Extent> shape) {
  Message extents;
  for (const Extent& extent : shape) {
    Message dimension;
    if (const auto* size = std::get_if<int64_t>(&extent))
      dimension.number(1, *size);
    else
      dimension.text(2, std::get<std::string>(extent));
    extents.text(1, dimension.take());
  }
  Message tensor_type, type_message, message;
  tensor_type.number(1, static_cast<int64_t>(type));
  tensor_type.text(2, extents.take());
  type_message.text(1, tensor_type.take());
  message.text(1, name);
  message.text(2, type_message.take());
  return message.take();
}

std::string model(const Graph& graph, std::span<const std::pair<std::string, std::string>> notes) {
  Message body;
  for (const std::string& one : graph.nodes) body.text(1, one);
  body.text(2, graph.name);
  for (const std::string& one : graph.initializers) body.text(5, one);
  for (const std::string& one : graph.inputs) body.text(11, one);
  for (const std::string& one : graph.outputs) body.text(12, one);
  Message opset, message;
  opset.text(1, "");
  opset.number(2, kOpset);
  message.number(1, kIrVersion);
  message.text(2, "retort");
  message.text(7, body.take());
  message.text(8, opset.take());
  for (const auto& [key, value] : notes) {
    Message note;
    note.text(1, key);
    note.text(2, value);
    message.text(14, note.take());
  }
  return message.take();
}

}  // namespace retort::onnx
