// A data recipe read into structs, every key checked, before any file is touched.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "retort/dataset/dataset.h"
#include "retort/log/attribution.h"
#include "retort/log/events.h"
#include "retort/log/split.h"
#include "retort/log/streams.h"

namespace retort {

/// One [[features]] entry; `specs` are the features it makes (a sequence `with` makes several).
/// Vocabulary sizes and fitted transforms are filled in while the dataset is built.
struct FeatureEntry {
  std::vector<FeatureSpec> specs;
  std::string separator = " ";
  int64_t min_count = 1;  // 0: every text of the side's table, in training rows or not
  int64_t hash = 0;       // rows; 0 = a vocabulary
  int32_t buckets = 0;    // > 0: boundaries are quantiles of the training rows
  /// attribute and context: which column of which table holds it; context: index into `context`.
  std::string expression;
  int column = -1;

  const FeatureSpec& spec() const { return specs.front(); }
  /// The transform needs the training rows.
  bool to_fit() const { return buckets > 0 || spec().transform.kind == "standard"; }
  /// Takes ids from texts: an attribute, the key itself or a column of the event.
  bool has_texts() const {
    return !spec().vocabulary.empty() && spec().source <= FeatureSource::kContext;
  }
  bool of_key() const {
    return spec().source == FeatureSource::kAttribute &&
           (spec().column == "user" || spec().column == "item");
  }
  /// How its column is typed while reading.
  ContextColumn typed_column() const;
};

/// [users] or [items].
struct TableOptions {
  SourceOptions source;
  std::string key;
  std::string published;                            // items only
  std::optional<std::vector<std::string>> filters;  // items only; nullopt = all columns
};

struct DataRecipe {
  std::string name;
  std::vector<EventSource> events;
  std::optional<AttributionOptions> attribution;
  std::vector<StreamSource> streams;
  std::optional<TableOptions> users, items;
  std::string read_rule = "median";  // none | median | seconds
  double read_threshold = 0;         // read_rule "seconds"
  SplitOptions split;
  double max_rejected = 0.01;
  std::string memory = "2GB";
  bool keep_log = false;  // so that days can be added
  Protocol protocol;
  std::string candidates;  // SQL condition over the items table; "" = all items
  std::vector<FeatureEntry> features;
  std::vector<ContextColumn> context;
  std::vector<std::string> labels;  // of events, by name; in `context` from `first_label` on
  int first_label = 0;
  int scores = -1;  // place in `context` of the logged scores: click, dwm, snapshot; -1 = none
};

/// Throws ConfigError naming key, value and remedy.
DataRecipe read_data_recipe(const Json& recipe);

}  // namespace retort
