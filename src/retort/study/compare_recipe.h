// What is compared: rows of model recipes, named on the command line or by a recipe in
// recipes/compare/, which may also name a publication's figures and claims.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "retort/common/file.h"
#include "retort/common/json.h"

namespace retort {

/// Figures by metric, its name before the "@": {"recall_click": 0.868}.
using Published = std::map<std::string, double>;

struct CompareRow {
  std::string label;                             // the row's name and its folder; unique
  Json recipe;                                   // resolved model recipe
  std::string title{};                           // in a publication's table; empty: the label
  std::vector<std::string> data{};               // data recipes that it is for; empty: all
  std::string after{};                           // an earlier row: its run is `distill.run`
  Json scores{};                                 // what its ranking model scores for this row
  bool shown = true;                             // false: trained, neither judged nor printed
  std::map<std::string, Published> published{};  // by data recipe
  std::optional<double> x{};                     // its place in the plot, on ..
  std::string line{};                            // .. this line

  const std::string& heading() const { return title.empty() ? label : title; }
  bool is_for(const std::string& name) const;
};

/// What a publication says of two rows.
struct Claim {
  std::string name, text;
  std::string row, other;            // labels
  std::vector<std::string> metrics;  // of the plan's; empty: all
  std::vector<std::string> data;     // empty: all
  /// published: as the published figures differ; better | worse; same: within `margin`.
  std::string expected = "published";
  double margin = 0;
};

/// A picture of rows that have an `x`, one for each metric.
struct ComparePlot {
  std::string x_title;
  std::vector<std::string> metrics;  // of the plan's
};

/// A recipe of recipes/compare/: see docs/recipes.md.
struct ComparePlan {
  std::string name, title;
  std::vector<std::string> data;  // data recipes it is meant for; empty = any one
  bool data_folders = false;      // runs are in OUT/DATA/LABEL: `data` is a list in the recipe
  int32_t seeds = 3;
  bool new_worlds = false;               // each seed has a simulated world of its own
  std::vector<double> learning_rates{};  // tried for every row; empty: the recipes' own
  std::string preset;                    // of all recipes: the command line's, else its own
  std::string data_preset{};             // of the data recipes; empty: `preset`, where they have it
  std::vector<std::string> metrics;      // of the publication's table; empty: no such table
  std::string published_note;            // what the published figures were measured on
  std::vector<CompareRow> rows;
  std::vector<Claim> claims;
  std::optional<ComparePlot> plot{};
};

/// Reads a comparison. `preset` and `sets` of the command line win over the plan's own and hold
/// for every row. Throws ConfigError naming the key.
ComparePlan read_compare_plan(const fs::path& file, const std::string& preset,
                              const std::vector<std::string>& sets);
/// The same of a recipe that was read already, with its preset; `file`: for messages and for
/// recipes beside it.
ComparePlan compare_plan_of(const Json& recipe, const fs::path& file, const std::string& preset,
                            const std::vector<std::string>& sets);
/// Reads the file with the preset that counts: `preset`, else its own key, if it has such a table.
Json read_plan_recipe(const fs::path& file, const std::string& preset);
/// Rows of plain model recipes (names or files), labelled by their names.
std::vector<CompareRow> compare_rows(const std::vector<std::string>& recipes,
                                     const std::string& preset,
                                     const std::vector<std::string>& sets);
/// The plan's rows for one of its data recipes.
std::vector<CompareRow> rows_for(const ComparePlan& plan, const std::string& data);
/// Whether a resolved TOML file is a comparison (has [[rows]] or [[axes]]) rather than a model
/// recipe.
bool is_compare_plan(const Json& recipe);
/// Throws ConfigError if two rows have one label, a label is no folder name, or `after` is not the
/// label of an earlier row.
void check_labels(const std::vector<CompareRow>& rows);

/// "recall_click" of "recall_click@20".
std::string metric_stem(const std::string& metric);

}  // namespace retort
