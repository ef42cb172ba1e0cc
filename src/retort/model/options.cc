#include "retort/model/options.h"

#include <algorithm>

#include "retort/common/error.h"
#include "retort/common/text.h"
#include "retort/log/events.h"

namespace retort {
void read_feature_options(Fields& fields, FeatureOptions& options) {
  fields.sub("kind");
  fields.read("embedding", options.embedding);
  fields.read("share_tables", options.share_tables);
  fields.read_choice("pooling", options.pooling, {"mean", "sum"});
  fields.read_choice("embedding_storage", options.storage, {"fp32", "bf16"});
  fields.read("embedding_deviation", options.embedding_deviation);
  fields.read("exclude", options.exclude);
  if (options.embedding <= 0)
    fail<ConfigError>("{}: 1 or more is expected, not {}", fields.name("embedding"),
                      options.embedding);
  if (!(options.embedding_deviation >= 0))
    fail<ConfigError>("{}: 0 or more is expected, not {}", fields.name("embedding_deviation"),
                      options.embedding_deviation);
}

void read_layers(Fields& fields, const std::string& key, std::vector<int32_t>& layers,
                 bool may_be_empty) {
  fields.read(key, layers);
  const bool positive = std::all_of(layers.begin(), layers.end(), [](int32_t n) { return n > 0; });
  if (!positive || (layers.empty() && !may_be_empty))
    fail<ConfigError>("{}: {}sizes of 1 or more are expected", fields.name(key),
                      may_be_empty ? "" : "one or more ");
}

void check_student_tasks(const std::string& key, const std::vector<std::string>& tasks) {
  if (tasks.size() < 2)
    fail<ConfigError>("{}: two or more names are expected, such as [\"click\", \"dwm\"]", key);
  for (const std::string& task : tasks)
    if (!is_label_name(task) || std::ranges::count(tasks, task) > 1)
      fail<ConfigError>("{}: '{}' is no name (small letters, digits, _) or is there twice", key,
                        task);
}

Json under(const char* name, const Json& table) {
  Json recipe;
  recipe[name] = table;
  return recipe;
}

namespace {

void check_excluded(const Schema& schema, const std::vector<std::string>& exclude) {
  std::vector<std::string> known;
  for (const FeatureSpec& feature : schema.features) known.push_back(feature.name);
  for (const std::string& name : exclude) {
    if (schema.find(name) != nullptr) continue;
    const std::string near = nearest_name(name, known);
    fail<ConfigError>("recipe key 'exclude': the dataset has no feature '{}'{}", name,
                      near.empty() ? "; it has " + fmt::format("{}", fmt::join(known, ", "))
                                   : "; did you mean '" + near + "'?");
  }
}

/// The width of the side's dense values that remain: all or none.
int32_t dense_left(const Schema& schema, Side side, const std::vector<std::string>& exclude) {
  std::vector<std::string> kept, dropped;
  for (const int index : schema.dense_of(side)) {
    const std::string& name = schema.features[static_cast<size_t>(index)].name;
    const bool out = std::find(exclude.begin(), exclude.end(), name) != exclude.end();
    (out ? dropped : kept).push_back(name);
  }
  if (!kept.empty() && !dropped.empty())
    fail<ConfigError>(
        "recipe key 'exclude': the dense features of a side are seen all or not at "
        "all; exclude also {}, or drop {} in the data recipe",
        fmt::join(kept, ", "), fmt::join(dropped, ", "));
  return kept.empty() ? 0 : schema.dense_width(side);
}

}  // namespace

StudentOptions StudentOptions::read(const Json& table) {
  StudentOptions options;
  Fields fields(under("student", table), "student");
  read_feature_options(fields, options.features);
  read_layers(fields, "user_layers", options.user_layers, false);
  read_layers(fields, "item_layers", options.item_layers, false);
  fields.finish();
  if (options.user_layers.back() != options.item_layers.back())
    fail<ConfigError>(
        "recipe keys 'student.user_layers' and 'student.item_layers' must end in the "
        "same size, not {} and {}",
        options.user_layers.back(), options.item_layers.back());
  return options;
}

TeacherOptions TeacherOptions::read(const Json& table) {
  TeacherOptions options;
  Fields fields(under("teacher", table), "teacher");
  read_feature_options(fields, options.features);
  const std::string kind = table.is_object() ? table.value("kind", "") : "";
  if (kind == "cgc" || kind == "ple" || kind == "shared_bottom") {
    options.expert_layers = {512, 256};
    options.tower_layers = {128};
  }
  fields.read("experts", options.experts);
  fields.read("shared_experts", options.shared_experts);
  fields.read("task_experts", options.task_experts);
  fields.read("levels", options.levels);
  read_layers(fields, "expert_layers", options.expert_layers, false);
  read_layers(fields, "tower_layers", options.tower_layers, true);
  options.tasks = TaskForest::read(fields.sub("tasks"));
  if (fields.has("seconds_cap")) {
    double cap = 0;
    fields.read("seconds_cap", cap);
    options.tasks.add_seconds(cap);
  }
  fields.finish();
  for (const auto& [key, value] : {std::pair{"experts", options.experts},
                                   {"shared_experts", options.shared_experts},
                                   {"task_experts", options.task_experts},
                                   {"levels", options.levels}})
    if (value < 1) fail<ConfigError>("{}: 1 or more is expected, not {}", fields.name(key), value);
  if (kind == "cgc") options.levels = 1;
  return options;
}

InputSpec make_input(const Schema& schema, Side side, const std::string& prefix,
                     const std::string& shared_prefix, const FeatureOptions& options) {
  check_excluded(schema, options.exclude);
  const InputSpec all = make_input(schema, side, prefix, options.embedding, options.share_tables);
  InputSpec input;
  input.side = side;
  input.dense_width = dense_left(schema, side, options.exclude);
  for (size_t i = 0; i < all.fields.size(); ++i) {
    FieldSpec field = all.fields[i];
    const auto& exclude = options.exclude;
    if (std::find(exclude.begin(), exclude.end(), field.feature) != exclude.end()) continue;
    field.pooling = options.pooling;
    field.storage = options.storage;
    const bool shared = field.table != prefix + "." + field.feature;
    if (shared) field.table = shared_prefix + field.table;
    input.fields.push_back(field);
    input.sparse_index.push_back(all.sparse_index[i]);
  }
  return input;
}

}  // namespace retort
