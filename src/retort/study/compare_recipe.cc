#include "retort/study/compare_recipe.h"

#include <set>

#include "retort/common/error.h"
#include "retort/common/recipe.h"

namespace retort {
namespace {

/// A row's recipe: a file beside the plan, else a name or path as `train` takes it.
fs::path recipe_of_row(const fs::path& plan, const std::string& name) {
  const fs::path beside = plan.parent_path() / name;
  return name.ends_with(".toml") && fs::exists(beside) ? beside : find_recipe(name);
}

CompareRow read_row(const fs::path& file, const Json& table, const std::string& plan_preset,
                    const std::string& preset, const std::vector<std::string>& sets) {
  Fields fields(Json{{"rows", table}}, "rows");
  std::string recipe, own_preset = plan_preset;
  std::vector<std::string> all_sets;
  CompareRow row;
  fields.read("recipe", recipe);
  fields.read("label", row.label);
  fields.read("preset", own_preset);
  fields.read("sets", all_sets);
  fields.finish();
  if (recipe.empty()) {
    fail<ConfigError>("{}: a table of [[rows]] needs recipe = \"NAME\"", file.string());
  }
  all_sets.insert(all_sets.end(), sets.begin(), sets.end());
  row.recipe =
      load_recipe(recipe_of_row(file, recipe), preset.empty() ? own_preset : preset, all_sets);
  if (row.label.empty()) row.label = row.recipe.value("name", recipe);
  return row;
}

}  // namespace

bool is_compare_plan(const Json& recipe) { return recipe.contains("rows"); }

void check_labels(const std::vector<CompareRow>& rows) {
  std::set<std::string> seen;
  for (const CompareRow& row : rows) {
    if (row.label.empty() || row.label == "." || row.label == ".." ||
        row.label.find('/') != std::string::npos) {
      fail<ConfigError>("compare: the label '{}' is no folder's name", row.label);
    }
    if (!seen.insert(row.label).second) {
      fail<ConfigError>(
          "compare: two rows are called '{}'; give them labels in a recipe of "
          "recipes/compare/",
          row.label);
    }
  }
}

ComparePlan read_compare_plan(const fs::path& file, const std::string& preset,
                              const std::vector<std::string>& sets) {
  const Json recipe = load_recipe(file, "", {});
  ComparePlan plan;
  std::string plan_preset;
  Fields fields(recipe, "");
  fields.read("name", plan.name);
  fields.read("data", plan.data);
  fields.read("seeds", plan.seeds);
  fields.read("preset", plan_preset);
  const Json& rows = fields.sub("rows");
  fields.finish();
  if (!rows.is_array() || rows.empty()) {
    fail<ConfigError>("{}: a comparison needs tables [[rows]]", file.string());
  }
  if (plan.seeds < 1) {
    fail<ConfigError>("{}: seeds must be 1 or more, not {}", file.string(), plan.seeds);
  }
  if (plan.name.empty()) plan.name = file.stem().string();
  for (const Json& row : rows) {
    plan.rows.push_back(read_row(file, row, plan_preset, preset, sets));
  }
  check_labels(plan.rows);
  return plan;
}

std::vector<CompareRow> compare_rows(const std::vector<std::string>& recipes,
                                     const std::string& preset,
                                     const std::vector<std::string>& sets) {
  std::vector<CompareRow> rows;
  for (const std::string& name : recipes) {
    const fs::path file = find_recipe(name);
    CompareRow row;
    row.recipe = load_recipe(file, preset, sets);
    row.label = row.recipe.value("name", file.stem().string());
    rows.push_back(std::move(row));
  }
  check_labels(rows);
  return rows;
}

}  // namespace retort
