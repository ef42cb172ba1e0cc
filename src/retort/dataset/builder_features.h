// The [[features]] of a data recipe read into feature specifications.
#pragma once

#include <vector>

#include "retort/dataset/builder_recipe.h"

namespace retort {

/// Throws ConfigError naming the feature and key. Vocabulary sizes are still 0.
std::vector<FeatureEntry> read_features(const Json& recipe);

/// The schema of all entries, vocabulary sizes of `rows` filled in; throws ConfigError where the
/// features do not fit together (a sequence of an unknown feature).
Schema make_schema(std::vector<FeatureEntry>& entries, const std::map<std::string, int64_t>& rows);

}  // namespace retort
