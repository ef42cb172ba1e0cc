// A graph of ONNX operators, written layer by layer as the encoder computes them.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "retort/bundle/model_spec.h"
#include "retort/bundle/safetensors.h"
#include "retort/encoder/onnx_proto.h"

namespace retort {

/// The name of a value in a graph.
using OnnxValue = std::string;

/// Weights keep their names and their storage (a table's rows are widened once they are looked up).
/// Matrices are [rows, width] unless a comment says otherwise.
class OnnxGraph {
 public:
  /// `weights` must outlive it.
  explicit OnnxGraph(const SafetensorsFile& weights) : weights_(weights) {}

  OnnxValue input(const std::string& name, onnx::Type type, std::vector<onnx::Extent> shape);
  void output(const OnnxValue& value, const std::string& name, std::vector<onnx::Extent> shape);

  OnnxValue node(const std::string& op, std::vector<OnnxValue> inputs,
                 std::vector<onnx::Attribute> attributes = {});
  std::vector<OnnxValue> node_of(int outputs, const std::string& op, std::vector<OnnxValue> inputs,
                                 std::vector<onnx::Attribute> attributes = {});
  OnnxValue integers(const std::vector<int64_t>& values);
  OnnxValue number(float value);  // a scalar
  OnnxValue floats(const std::vector<int64_t>& shape, const std::vector<float>& values);
  /// A weight of the file. Throws DataError if it is missing or not F32 of this shape.
  OnnxValue weight(const std::string& name, const std::vector<int64_t>& shape);

  OnnxValue concat(const std::vector<OnnxValue>& parts, int64_t axis);
  /// x W^T + b of "<name>.weight" and ".bias".
  OnnxValue linear(const OnnxValue& x, const std::string& name, int64_t in, int64_t out, bool bias);
  /// DenseStack.
  OnnxValue stack(OnnxValue x, const std::string& name, int64_t in, std::span<const int32_t> layers,
                  bool relu_after_last);
  /// Rows of a field's table. ids [..] of 0 or more -> [.., dim].
  OnnxValue rows_of(const FieldSpec& field, const OnnxValue& ids);
  /// gated_sum: sum over k of softmax("<gate>.weight" x)_k experts[k].
  OnnxValue gated(const OnnxValue& x, const std::string& gate, int64_t in,
                  const std::vector<OnnxValue>& experts);

  /// MixtureEncoder "<name>.." over fields of these widths: a vector a task.
  std::vector<OnnxValue> mixture(std::vector<OnnxValue> fields, const std::string& name,
                                 const std::vector<int32_t>& widths, const MixtureSpec& spec);

  /// The file. Throws DataError naming what is too large: a file holds at most 2 GiB.
  std::string file(const std::string& name,
                   const std::vector<std::pair<std::string, std::string>>& notes);

 private:
  OnnxValue products(const std::vector<OnnxValue>& fields, const std::string& name,
                     const std::vector<int32_t>& widths, int64_t dim);
  OnnxValue initializer(const std::string& name, onnx::Type type, const std::vector<int64_t>& shape,
                        std::string_view bytes);
  std::string fresh() { return fmt::format("v{}", count_++); }

  const SafetensorsFile& weights_;
  onnx::Graph graph_;
  std::set<std::string> initializers_;
  int64_t count_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace retort
