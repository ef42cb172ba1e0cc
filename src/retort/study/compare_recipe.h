// What is compared: rows of model recipes, named on the command line or by a recipe in
// recipes/compare/.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "retort/common/file.h"
#include "retort/common/json.h"

namespace retort {

struct CompareRow {
  std::string label;  // the row's name in tables and its folder; unique
  Json recipe;        // resolved model recipe
};

/// A recipe of recipes/compare/: see docs/recipes.md.
struct ComparePlan {
  std::string name;
  std::string data;  // name of the data recipe it is meant for; empty = any
  int32_t seeds = 3;
  std::vector<CompareRow> rows;
};

/// Reads a comparison. `preset` and `sets` of the command line win over the plan's own and hold
/// for every row. Throws ConfigError naming the key.
ComparePlan read_compare_plan(const fs::path& file, const std::string& preset,
                              const std::vector<std::string>& sets);
/// Rows of plain model recipes (names or files), labelled by their names.
std::vector<CompareRow> compare_rows(const std::vector<std::string>& recipes,
                                     const std::string& preset,
                                     const std::vector<std::string>& sets);
/// Whether a resolved TOML file is a comparison (has [[rows]]) rather than a model recipe.
bool is_compare_plan(const Json& recipe);
/// Throws ConfigError if two rows have one label or a label is no folder name.
void check_labels(const std::vector<CompareRow>& rows);

}  // namespace retort
