// A sweep: one comparison, repeated in many worlds, laid out as maps over two of their dimensions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "retort/study/compare_recipe.h"

namespace retort {

struct SweepValue {
  std::string name;
  std::vector<std::string> data, model;  // as --set, of the data recipe and of every model recipe
  bool is_default() const { return data.empty() && model.empty(); }
};

struct SweepDimension {
  std::string name, title;
  std::vector<SweepValue> values;
};

/// Indices of dimensions.
struct SweepMap {
  size_t x = 0, y = 0;
};

/// A recipe of recipes/sweep/: a comparison with [[dimensions]] and [[maps]], see docs/recipes.md.
struct SweepPlan {
  ComparePlan compare;  // of one data recipe, with metrics and claims; at the defaults
  std::vector<SweepDimension> dimensions;
  std::vector<SweepMap> maps;
  // what `compare` was read from
  Json recipe;
  fs::path file;
  std::string preset;
  std::vector<std::string> sets;
};

/// Throws ConfigError naming the key.
SweepPlan read_sweep_plan(const fs::path& file, const std::string& preset,
                          const std::vector<std::string>& sets);

/// One comparison of a sweep: which value of which dimension is not the default.
struct SweepCell {
  std::vector<std::pair<size_t, size_t>> chosen;  // (dimension, value), dimensions ascending

  bool operator==(const SweepCell&) const = default;
  /// "clicks=8 noise=2.0", "default": the name of its folder too, spaces and slashes apart.
  std::string label(const SweepPlan& plan) const;
  std::vector<std::string> data_sets(const SweepPlan& plan) const;
  /// The plan's comparison with the cell's settings over every model recipe.
  ComparePlan compare_plan(const SweepPlan& plan) const;
};

/// Of a map at its values x, y.
SweepCell cell_at(const SweepPlan& plan, const SweepMap& map, size_t x, size_t y);
/// Of all maps, each once.
std::vector<SweepCell> cells_of(const SweepPlan& plan);

}  // namespace retort
