// A schema with one feature of each kind on each side, and batches of it.
#pragma once

#include <string>
#include <vector>

#include <torch/torch.h>

#include "retort/dataset/schema.h"
#include "retort/nn/tensor_batch.h"

namespace retort {

inline FeatureSpec sparse_feature(const std::string& name, Side side, FeatureKind kind,
                                  int64_t rows, const std::string& vocabulary = "") {
  FeatureSpec feature;
  feature.name = name;
  feature.side = side;
  feature.kind = kind;
  feature.rows = rows;
  feature.vocabulary = vocabulary.empty() ? name : vocabulary;
  return feature;
}

inline FeatureSpec dense_feature(const std::string& name, Side side, int32_t width) {
  FeatureSpec feature;
  feature.name = name;
  feature.side = side;
  feature.kind = FeatureKind::kDense;
  feature.width = width;
  return feature;
}

/// user: user_id, history (of the items' vocabulary), 1 dense; item: item_id, tags, 2 dense;
/// pair: 1 dense.
inline Schema small_schema() {
  Schema schema;
  schema.features = {
      sparse_feature("user_id", Side::kUser, FeatureKind::kCategorical, 4),
      sparse_feature("history", Side::kUser, FeatureKind::kSequence, 6, "item_id"),
      dense_feature("activity", Side::kUser, 1),
      sparse_feature("item_id", Side::kItem, FeatureKind::kCategorical, 6),
      sparse_feature("tags", Side::kItem, FeatureKind::kBag, 5),
      dense_feature("clicks_1h", Side::kItem, 2),
      dense_feature("clicks_in_category", Side::kPair, 1),
  };
  return schema;
}

inline const DenseWidths kSmallWidths{.user = 1, .item = 2, .pair = 1};

/// Sparse columns and dense values of a side from lists of ids a feature.
inline SideBatch side_batch(const std::vector<std::vector<std::vector<int32_t>>>& columns,
                            std::vector<float> dense, int64_t rows) {
  SideBatch side;
  side.rows = rows;
  side.dense = std::move(dense);
  for (const auto& lists : columns) {
    SparseColumn column;
    column.offsets = {0};
    for (const auto& list : lists) {
      column.ids.insert(column.ids.end(), list.begin(), list.end());
      column.offsets.push_back(static_cast<int32_t>(column.ids.size()));
    }
    side.sparse.push_back(std::move(column));
  }
  return side;
}

/// Three users, six rows, both labels on clicks and non-clicks that features can tell apart.
inline TensorBatch small_batch() {
  Batch batch;
  batch.users = side_batch({{{1}, {2}, {3}}, {{5, 1, 5}, {}, {2}}}, {0.5F, -1, 0}, 3);
  batch.items =
      side_batch({{{1}, {2}, {3}, {4}, {5}, {0}}, {{0, 4}, {}, {2}, {2, 2}, {1, 3, 4}, {3}}},
                 {1, 0, 0, 1, -1, 0, 0, -1, 1, 1, -1, -1}, 6);
  batch.pairs.rows = 6;
  batch.pairs.dense = {0, 1, 0, 2, 1, 0};
  batch.user_of_row = {0, 0, 1, 1, 2, 2};
  batch.user = {0, 0, 1, 1, 2, 2};
  batch.item = {0, 1, 2, 3, 4, 5};
  batch.click = {1, 0, 1, 0, 1, 0};
  batch.read = {1, 0, 0, 0, 1, 0};
  batch.seconds = {80, 0, 5, 0, 300, 0};
  return to_tensors(batch, kSmallWidths, torch::kCPU);
}

}  // namespace retort
