// The vocabularies of a dataset and the stored columns of its features: attributes of users and
// items, and columns of the event.
#pragma once

#include <map>
#include <string>

#include "retort/dataset/builder_columns.h"

namespace retort {

/// Rows of each vocabulary, and which are hashed.
struct VocabularySizes {
  std::map<std::string, int64_t> rows;
  std::map<std::string, int64_t> hashed;
};

/// Writes vocabulary.NAME for every vocabulary of the recipe: row 0 "", then the texts of training
/// rows that occur min_count times, by count descending, then by text. Hashed ones have no column.
/// What the dataset `before` has (empty: none) comes first, in its order.
VocabularySizes write_vocabularies(DuckDb& db, const DataRecipe& recipe,
                                   const TrainingClicks& trained, const fs::path& folder,
                                   const fs::path& before = {});

/// Writes user.NAME.*, item.NAME.* and clicks.NAME.* of every attribute and context feature.
void write_features(DuckDb& db, const DataRecipe& recipe, const VocabularySizes& sizes,
                    const fs::path& folder);

}  // namespace retort
