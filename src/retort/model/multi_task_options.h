// The recipe's tables of RRA's models: [student] kind = "multi_task", [teacher] kind = "aligned".
// Source: sizes of methods B3, B4 (the paper names none but the history's 100).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "retort/bundle/model_spec.h"
#include "retort/model/options.h"

namespace retort {

/// One table a vocabulary, bags and sequences summed.
FeatureOptions shared_tables(int32_t embedding);

struct MultiTaskOptions {
  FeatureOptions features = shared_tables(64);
  int32_t attribute_embedding = 16;    // of tables whose ids are not items
  std::vector<std::string> sequences;  // features that a transformer reads, with their side ones
  int32_t layers = 2, heads = 2;       // of each transformer; 0 layers: products are summed
  int32_t hidden = 0;                  // 0: four times the embedding
  MixtureSpec mixture;
  std::vector<int32_t> item_layers;  // none: the item's embedding is its vector

  /// Throws ConfigError naming the key.
  static MultiTaskOptions read(const Json& table);
};

struct AlignedOptions {
  std::string sharing = "bottom";               // none | embeddings | bottom
  FeatureOptions features = shared_tables(16);  // of interactions
  MixtureSpec mixture;                          // head_layers: hidden layers before Linear -> 1

  static AlignedOptions read(const Json& table);
};

/// One table a vocabulary, as wide as the items' where its ids are items.
/// Throws ConfigError on a sequence that the schema does not have.
ModelSpec multi_task_spec(const Schema& schema, const MultiTaskOptions& options);

/// A side's features with tables "<vocabulary>" or "<side>.<feature>", all `embedding` wide.
InputSpec make_fields(const Schema& schema, Side side, const FeatureOptions& options);

}  // namespace retort
