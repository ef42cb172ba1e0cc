// What an ONNX graph takes of one side: ids and dense values in, pooled embeddings out.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "retort/bundle/model_spec.h"
#include "retort/common/json.h"
#include "retort/dataset/schema.h"
#include "retort/encoder/onnx_graph.h"

namespace retort {

class OnnxInputs {
 public:
  /// Inputs are called "<side>.<feature>" and described in `inputs`, a list. All must outlive it.
  OnnxInputs(OnnxGraph& graph, const Schema& schema, const InputSpec& input, Json& inputs)
      : graph_(graph), schema_(schema), input_(input), inputs_(inputs) {}

  /// Fields, dense values and sequences in the order of a model's input, [batch, their width].
  std::vector<OnnxValue> parts(const std::vector<SequenceSpec>& sequences);
  /// An input beside the features, described by `more`.
  OnnxValue floats(const std::string& name, const std::vector<onnx::Extent>& shape,
                   const Json& more);

 private:
  struct Steps {
    OnnxValue ids;   // [batch, steps], 0 for padding
    OnnxValue mask;  // [batch, steps] floats, 0 for padding
  };
  std::string prefix() const;
  const FeatureSpec& feature(const FieldSpec& field) const;
  OnnxValue ids_of(const FieldSpec& field, const std::string& steps);
  Steps masked(const OnnxValue& padded);
  OnnxValue unsqueezed(const OnnxValue& value, const std::vector<int64_t>& axes);
  OnnxValue summed(const OnnxValue& value);
  OnnxValue pooled(const FieldSpec& field);
  OnnxValue dense();
  OnnxValue sequence(const SequenceSpec& spec);
  OnnxValue step_linear(const OnnxValue& x, const OnnxValue& weight, const OnnxValue& bias);
  OnnxValue attention(const OnnxValue& x, const OnnxValue& unseen, const SequenceSpec& spec,
                      const std::string& block);
  OnnxValue normed(const OnnxValue& x, const OnnxValue& added, const std::string& name,
                   int64_t dim);
  OnnxValue transformer_layer(const OnnxValue& x, const OnnxValue& unseen, const SequenceSpec& spec,
                              const std::string& block);

  OnnxGraph& graph_;
  const Schema& schema_;
  const InputSpec& input_;
  Json& inputs_;
  std::set<std::string> known_;
};

}  // namespace retort
