// The architecture of a candidate model as plain data: what nn/ builds torch modules from, and
// what encoder/ composes kernels from. Written as model.json into runs and bundles.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "retort/common/json.h"
#include "retort/dataset/schema.h"

namespace retort {

/// One sparse feature's way into a tower: rows of `table` are gathered and pooled.
struct FieldSpec {
  std::string feature;  // FeatureSpec::name
  std::string table;    // embedding table: weight "<table>.weight" [rows, dim]
  int64_t rows = 0;
  int32_t dim = 30;
  std::string pooling = "mean";  // categorical: irrelevant; bag, sequence: mean | sum
  std::string storage = "fp32";  // of the table in training: fp32 | bf16
};

/// Inputs concatenated in this order: fields (pooled embeddings), then the dense values of the
/// side. An empty bag pools to zeros.
struct InputSpec {
  Side side = Side::kUser;
  std::vector<FieldSpec> fields;
  std::vector<int> sparse_index;  // [fields] position in SideBatch::sparse
  int32_t dense_width = 0;        // all dense values of the side (0 = none used)
  int32_t width() const;
};

/// MLP on an input: Linear + ReLU for each of `layers` but the last, which is linear.
/// Weights "<name>.layer<i>.weight" [out, in] and ".bias" [out].
struct TowerSpec {
  std::string name;  // "user" or "item"
  InputSpec input;
  std::vector<int32_t> layers;  // {512, 256, 128}
};

/// A two-tower student: score = <user(u), item(v)>.
struct ModelSpec {
  std::string kind = "two_tower";
  TowerSpec user, item;
  /// Popularity correction: item vectors get beta * log q as one more dimension, user vectors 1.
  double beta = 0;
  int32_t dim() const { return user.layers.empty() ? 0 : user.layers.back(); }
};

Json to_json(const ModelSpec& spec);
/// Throws DataError naming the key.
ModelSpec model_spec_from_json(const Json& json);

/// InputSpec of one side of a schema: every sparse feature of the side with its own table
/// "<prefix>.<feature>" (or, with `share`, one table a vocabulary, "<vocabulary>"), all dense.
InputSpec make_input(const Schema& schema, Side side, const std::string& prefix, int32_t dim,
                     bool share);

}  // namespace retort
