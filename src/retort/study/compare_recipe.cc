#include "retort/study/compare_recipe.h"

#include <algorithm>
#include <set>

#include "retort/common/error.h"
#include "retort/common/recipe.h"
#include "retort/common/text.h"
#include "retort/metric/registry.h"
#include "retort/study/compare_axes.h"

namespace retort {
namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// A row's recipe: a file beside the plan, else a name or path as `train` takes it.
fs::path recipe_of_row(const fs::path& plan, const std::string& name) {
  const fs::path beside = plan.parent_path() / name;
  return name.ends_with(".toml") && fs::exists(beside) ? beside : find_recipe(name);
}

/// The row's table with its [rows.presets.PRESET] over it.
Json with_preset(Json table, const std::string& preset) {
  if (!table.is_object()) return table;
  const Json presets = table.value("presets", Json::object());
  table.erase("presets");
  if (presets.is_object() && presets.contains(preset)) table.update(presets[preset]);
  return table;
}

/// A string or a list of strings.
std::vector<std::string> read_names(Fields& fields, const std::string& key) {
  std::vector<std::string> names;
  if (fields.sub(key).is_string())
    names.push_back(fields.sub(key));
  else
    fields.read(key, names);
  return names;
}

void check_known(const std::string& key, const std::vector<std::string>& names,
                 const std::vector<std::string>& known) {
  for (const std::string& name : names) {
    if (contains(known, name)) continue;
    fail<ConfigError>("recipe key '{}': '{}' is none of: {}", key, name, fmt::join(known, ", "));
  }
}

Published read_figures(const Json& table, const ComparePlan& plan) {
  Published figures;
  std::vector<std::string> known;
  for (const std::string& metric : plan.metrics) known.push_back(metric_stem(metric));
  for (const auto& [key, value] : table.items()) {
    check_known("rows.published", {key}, known);
    if (!value.is_number())
      fail<ConfigError>("recipe key 'rows.published.{}': a number is expected, not {}", key,
                        value.dump());
    figures[key] = value;
  }
  return figures;
}

/// published = {METRIC = figure} of a plan of one data recipe, {DATA = {METRIC = figure}} of any.
std::map<std::string, Published> read_published(const Json& table, const ComparePlan& plan) {
  std::map<std::string, Published> published;
  if (table.is_null()) return published;
  if (!table.is_object() || plan.metrics.empty())
    fail<ConfigError>(
        "recipe key 'rows.published': a table of figures of the plan's 'metrics' is expected");
  const bool by_data =
      std::any_of(table.begin(), table.end(), [](const Json& value) { return value.is_object(); });
  if (!by_data) {
    if (plan.data.size() != 1)
      fail<ConfigError>(
          "recipe key 'rows.published': the plan is for {} data recipes; write {{DATA = {{METRIC = "
          "figure}}}}",
          plan.data.size());
    published[plan.data.front()] = read_figures(table, plan);
    return published;
  }
  for (const auto& [data, figures] : table.items()) {
    check_known("rows.published", {data}, plan.data);
    if (!figures.is_object())
      fail<ConfigError>("recipe key 'rows.published.{}': a table is expected, not {}", data,
                        figures.dump());
    published[data] = read_figures(figures, plan);
  }
  return published;
}

CompareRow read_row(const fs::path& file, const Json& entry, const ComparePlan& plan,
                    const std::string& preset, const std::vector<std::string>& sets) {
  std::string recipe, own_preset = plan.preset;
  Fields(Json{{"rows", entry}}, "rows").read("preset", own_preset);
  if (!preset.empty()) own_preset = preset;
  Fields fields(Json{{"rows", with_preset(entry, own_preset)}}, "rows");
  std::vector<std::string> all_sets;
  CompareRow row;
  fields.read("recipe", recipe);
  fields.read("label", row.label);
  fields.sub("preset");
  fields.read("sets", all_sets);
  fields.read("title", row.title);
  row.data = read_names(fields, "data");
  fields.read("after", row.after);
  row.scores = fields.sub("scores");
  fields.read("shown", row.shown);
  row.published = read_published(fields.sub("published"), plan);
  fields.read("line", row.line);
  if (fields.has("x")) fields.read("x", row.x.emplace());
  fields.finish();
  check_known("rows.data", row.data, plan.data);
  if (!row.scores.is_null() && row.after.empty())
    fail<ConfigError>(
        "recipe key 'rows.scores': whose? Name the row that scores by after = \"ROW\"");
  if (recipe.empty()) {
    fail<ConfigError>("{}: a table of [[rows]] needs recipe = \"NAME\"", file.string());
  }
  all_sets.insert(all_sets.end(), sets.begin(), sets.end());
  row.recipe = load_recipe(recipe_of_row(file, recipe), own_preset, all_sets);
  if (row.label.empty()) row.label = row.recipe.value("name", recipe);
  return row;
}

Claim read_claim(const Json& entry, const ComparePlan& plan) {
  Claim claim;
  Fields fields(Json{{"claims", entry}}, "claims");
  fields.read("name", claim.name);
  fields.read("text", claim.text);
  fields.read("row", claim.row);
  fields.read("other", claim.other);
  claim.metrics = read_names(fields, "metrics");
  claim.data = read_names(fields, "data");
  fields.read_choice("expected", claim.expected, {"published", "better", "worse", "same"});
  fields.read("margin", claim.margin);
  fields.finish();
  std::vector<std::string> shown, stems;
  for (const CompareRow& row : plan.rows)
    if (row.shown) shown.push_back(row.label);
  for (const std::string& metric : plan.metrics) stems.push_back(metric_stem(metric));
  check_known("claims.row", {claim.row}, shown);
  check_known("claims.other", {claim.other}, shown);
  check_known("claims.metrics", claim.metrics, stems);
  check_known("claims.data", claim.data, plan.data);
  if ((claim.expected == "same") != (claim.margin > 0))
    fail<ConfigError>(
        "recipe key 'claims.margin': above 0 with expected = \"same\" and only then, not {}",
        claim.margin);
  return claim;
}

std::optional<ComparePlot> read_plot(const Json& table, const ComparePlan& plan) {
  if (table.is_null()) return std::nullopt;
  ComparePlot plot;
  Fields fields(Json{{"plot", table}}, "plot");
  fields.read("x_title", plot.x_title);
  plot.metrics = read_names(fields, "metrics");
  fields.finish();
  check_known("plot.metrics", plot.metrics, plan.metrics);
  if (plot.metrics.empty()) plot.metrics = plan.metrics;
  return plot;
}

/// Throws ConfigError for a metric that nothing is judged by.
void check_metrics(const std::vector<std::string>& metrics) {
  std::vector<std::string> known{"nktd_ranker", "click_bait", "train_seconds", "train_megabytes",
                                 "score_seconds"};
  for (const MetricEntry& entry : retort::metrics())
    known.push_back(metric_stem(std::string(entry.name)));
  for (const std::string& metric : metrics) {
    const std::string stem = metric_stem(metric);
    if (stem.starts_with("task_auc_") || contains(known, stem)) continue;
    const std::string near = nearest_name(stem, known);
    fail<ConfigError>("recipe key 'metrics': '{}' is no metric{}; see `retort list metrics`",
                      metric, near.empty() ? "" : "; did you mean '" + near + "'?");
  }
}

/// A list of tables; what is missing is none.
const Json& tables(Fields& fields, const std::string& key, const fs::path& file) {
  static const Json kNone = Json::array();
  const Json& value = fields.sub(key);
  if (value.is_null()) return kNone;
  if (!value.is_array()) fail<ConfigError>("{}: write tables [[{}]]", file.string(), key);
  return value;
}

}  // namespace

bool CompareRow::is_for(const std::string& name) const {
  return data.empty() || contains(data, name);
}

bool is_compare_plan(const Json& recipe) {
  return recipe.contains("rows") || recipe.contains("axes");
}

std::string metric_stem(const std::string& metric) { return metric.substr(0, metric.find('@')); }

void check_labels(const std::vector<CompareRow>& rows) {
  std::set<std::string> seen;
  for (const CompareRow& row : rows) {
    if (row.label.empty() || row.label == "." || row.label == ".." ||
        row.label.find('/') != std::string::npos) {
      fail<ConfigError>("compare: the label '{}' is no folder's name", row.label);
    }
    if (!row.after.empty() && !seen.contains(row.after)) {
      fail<ConfigError>("compare: the row '{}' comes after '{}', which is no earlier row",
                        row.label, row.after);
    }
    if (!seen.insert(row.label).second) {
      fail<ConfigError>(
          "compare: two rows are called '{}'; give them labels in a recipe of "
          "recipes/compare/",
          row.label);
    }
  }
}

Json read_plan_recipe(const fs::path& file, const std::string& preset) {
  Json recipe = load_recipe(file, "", {});
  std::string own = preset;
  if (preset.empty()) Fields(recipe, "").read("preset", own);
  return has_preset(file, own) ? load_recipe(file, own, {}) : recipe;
}

ComparePlan read_compare_plan(const fs::path& file, const std::string& preset,
                              const std::vector<std::string>& sets) {
  return compare_plan_of(read_plan_recipe(file, preset), file, preset, sets);
}

ComparePlan compare_plan_of(const Json& recipe, const fs::path& file, const std::string& preset,
                            const std::vector<std::string>& sets) {
  ComparePlan plan;
  plan.preset = preset;
  if (preset.empty()) Fields(recipe, "").read("preset", plan.preset);
  Fields fields(recipe, "");
  fields.read("name", plan.name);
  fields.read("title", plan.title);
  plan.data = read_names(fields, "data");
  plan.data_folders = fields.sub("data").is_array();
  fields.read("seeds", plan.seeds);
  fields.read("new_worlds", plan.new_worlds);
  fields.read("learning_rates", plan.learning_rates);
  fields.sub("preset");
  fields.read("data_preset", plan.data_preset);
  fields.read("metrics", plan.metrics);
  check_metrics(plan.metrics);
  fields.read("published_note", plan.published_note);
  Json rows = tables(fields, "rows", file);
  for (Json& row : rows_of_axes(tables(fields, "axes", file))) rows.push_back(std::move(row));
  plan.plot = read_plot(fields.sub("plot"), plan);
  const Json& claims = tables(fields, "claims", file);
  fields.finish();
  if (rows.empty())
    fail<ConfigError>("{}: a comparison needs tables [[rows]] or [[axes]]", file.string());
  if (plan.seeds < 1) {
    fail<ConfigError>("{}: seeds must be 1 or more, not {}", file.string(), plan.seeds);
  }
  if (plan.name.empty()) plan.name = file.stem().string();
  for (const Json& row : rows) plan.rows.push_back(read_row(file, row, plan, preset, sets));
  for (const Json& claim : claims) plan.claims.push_back(read_claim(claim, plan));
  check_labels(plan.rows);
  if (plan.plot &&
      std::ranges::none_of(plan.rows, [](const auto& row) { return row.x.has_value(); }))
    fail<ConfigError>("recipe key 'plot': no row has an x, so that there is nothing to draw");
  for (const std::string& data : plan.data) check_labels(rows_for(plan, data));
  return plan;
}

std::vector<CompareRow> rows_for(const ComparePlan& plan, const std::string& data) {
  std::vector<CompareRow> rows;
  for (const CompareRow& row : plan.rows)
    if (row.is_for(data)) rows.push_back(row);
  return rows;
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
