#include "retort/study/sweep_recipe.h"

#include <algorithm>

#include "retort/common/error.h"
#include "retort/common/recipe.h"

namespace retort {
namespace {

SweepDimension read_dimension(const Json& entry) {
  SweepDimension dimension;
  Fields fields(Json{{"dimensions", entry}}, "dimensions");
  fields.read("name", dimension.name);
  fields.read("title", dimension.title);
  const Json values = fields.sub("values");
  fields.finish();
  if (dimension.name.empty() || !values.is_array() || values.size() < 2)
    fail<ConfigError>(
        "recipe key 'dimensions.values': dimension '{}' needs a name and two values or more",
        dimension.name);
  if (dimension.title.empty()) dimension.title = dimension.name;
  for (const Json& one : values) {
    SweepValue value;
    Fields own(Json{{"values", one}}, "values");
    own.read("name", value.name);
    own.read("data", value.data);
    own.read("model", value.model);
    own.finish();
    if (value.name.empty())
      fail<ConfigError>("recipe key 'dimensions.values': a value of '{}' has no name",
                        dimension.name);
    dimension.values.push_back(std::move(value));
  }
  const auto defaults = std::ranges::count_if(dimension.values, &SweepValue::is_default);
  if (defaults != 1)
    fail<ConfigError>(
        "recipe key 'dimensions.values': of '{}' {} values set nothing; exactly one is the default",
        dimension.name, defaults);
  return dimension;
}

size_t find_dimension(const std::vector<SweepDimension>& dimensions, const std::string& name) {
  for (size_t i = 0; i < dimensions.size(); ++i)
    if (dimensions[i].name == name) return i;
  fail<ConfigError>("recipe key 'maps': '{}' is no dimension of this recipe", name);
}

SweepMap read_map(const Json& entry, const std::vector<SweepDimension>& dimensions) {
  std::string x, y;
  Fields fields(Json{{"maps", entry}}, "maps");
  fields.read("x", x);
  fields.read("y", y);
  fields.finish();
  if (x == y) fail<ConfigError>("recipe key 'maps': x and y are both '{}'", x);
  return {find_dimension(dimensions, x), find_dimension(dimensions, y)};
}

void append(std::vector<std::string>& all, const std::vector<std::string>& some) {
  all.insert(all.end(), some.begin(), some.end());
}

}  // namespace

SweepPlan read_sweep_plan(const fs::path& file, const std::string& preset,
                          const std::vector<std::string>& sets) {
  Json recipe = read_plan_recipe(file, preset);
  SweepPlan plan;
  for (const Json& entry : recipe.value("dimensions", Json::array()))
    plan.dimensions.push_back(read_dimension(entry));
  for (const Json& entry : recipe.value("maps", Json::array()))
    plan.maps.push_back(read_map(entry, plan.dimensions));
  if (plan.maps.empty())
    fail<ConfigError>("{}: a sweep needs tables [[dimensions]] and [[maps]]", file.string());
  recipe.erase("dimensions");
  recipe.erase("maps");
  plan.compare = compare_plan_of(recipe, file, preset, sets);
  plan.recipe = std::move(recipe);
  plan.file = file;
  plan.preset = preset;
  plan.sets = sets;
  if (plan.compare.data.size() != 1 || plan.compare.metrics.empty() || plan.compare.claims.empty())
    fail<ConfigError>("{}: a sweep needs one data recipe, metrics and [[claims]]", file.string());
  return plan;
}

std::string SweepCell::label(const SweepPlan& plan) const {
  std::string label;
  for (const auto& [dimension, value] : chosen) {
    const SweepDimension& of = plan.dimensions[dimension];
    label += fmt::format("{}{}={}", label.empty() ? "" : " ", of.name, of.values[value].name);
  }
  std::ranges::replace(label, '/', '_');
  return label.empty() ? "default" : label;
}

std::vector<std::string> SweepCell::data_sets(const SweepPlan& plan) const {
  std::vector<std::string> sets;
  for (const auto& [dimension, value] : chosen)
    append(sets, plan.dimensions[dimension].values[value].data);
  return sets;
}

ComparePlan SweepCell::compare_plan(const SweepPlan& plan) const {
  std::vector<std::string> sets = plan.sets;
  for (const auto& [dimension, value] : chosen)
    append(sets, plan.dimensions[dimension].values[value].model);
  return compare_plan_of(plan.recipe, plan.file, plan.preset, sets);
}

SweepCell cell_at(const SweepPlan& plan, const SweepMap& map, size_t x, size_t y) {
  SweepCell cell;
  for (const auto& [dimension, value] : {std::pair{map.x, x}, std::pair{map.y, y}})
    if (!plan.dimensions[dimension].values[value].is_default())
      cell.chosen.emplace_back(dimension, value);
  std::ranges::sort(cell.chosen);
  return cell;
}

std::vector<SweepCell> cells_of(const SweepPlan& plan) {
  std::vector<SweepCell> cells;
  for (const SweepMap& map : plan.maps)
    for (size_t y = 0; y < plan.dimensions[map.y].values.size(); ++y)
      for (size_t x = 0; x < plan.dimensions[map.x].values.size(); ++x) {
        SweepCell cell = cell_at(plan, map, x, y);
        if (std::ranges::find(cells, cell) == cells.end()) cells.push_back(std::move(cell));
      }
  return cells;
}

}  // namespace retort
