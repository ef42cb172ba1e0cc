#include "retort/model/multi_task_options.h"

#include <algorithm>
#include <set>

#include "retort/common/error.h"
#include "retort/common/text.h"

namespace retort {
namespace {

void read_mixture(Fields& fields, MixtureSpec& mixture) {
  fields.read("product_dim", mixture.product_dim);
  fields.read("experts", mixture.experts);
  read_layers(fields, "expert_layers", mixture.expert_layers, false);
  read_layers(fields, "head_layers", mixture.head_layers, false);
  if (mixture.product_dim < 0)
    fail<ConfigError>("{}: 0 (none) or more is expected, not {}", fields.name("product_dim"),
                      mixture.product_dim);
  if (mixture.experts < 1)
    fail<ConfigError>("{}: 1 or more is expected, not {}", fields.name("experts"), mixture.experts);
}

void check_least(const Fields& fields, const char* key, int32_t value, int32_t least) {
  if (value < least)
    fail<ConfigError>("{}: {} or more is expected, not {}", fields.name(key), least, value);
}

/// Takes the sequence feature and its side information out of the input.
SequenceSpec take_sequence(const Schema& schema, const std::string& feature, InputSpec& input,
                           const MultiTaskOptions& options) {
  SequenceSpec sequence;
  sequence.name = "user." + feature + ".transformer";
  sequence.layers = options.layers;
  sequence.heads = options.heads;
  sequence.hidden = options.hidden > 0 ? options.hidden : 4 * options.features.embedding;
  InputSpec rest = input;
  rest.fields.clear();
  rest.sparse_index.clear();
  for (size_t i = 0; i < input.fields.size(); ++i) {
    FieldSpec field = input.fields[i];
    const bool is_step = field.feature == feature || field.feature.starts_with(feature + ".");
    if (!is_step) {
      rest.fields.push_back(field);
      rest.sparse_index.push_back(input.sparse_index[i]);
      continue;
    }
    field.dim = options.features.embedding;
    const auto at = field.feature == feature ? sequence.fields.begin() : sequence.fields.end();
    sequence.sparse_index.insert(sequence.sparse_index.begin() + (at - sequence.fields.begin()),
                                 input.sparse_index[i]);
    sequence.fields.insert(at, field);
  }
  input = rest;
  const FeatureSpec* spec = schema.find(feature);
  if (spec == nullptr || spec->kind != FeatureKind::kSequence || sequence.fields.empty()) {
    std::vector<std::string> known;
    for (const FeatureSpec& other : schema.features)
      if (other.kind == FeatureKind::kSequence && other.with.empty()) known.push_back(other.name);
    fail<ConfigError>(
        "recipe key 'student.sequences': '{}' is no sequence of the dataset; it has {}", feature,
        known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", ")));
  }
  sequence.length = spec->last;
  return sequence;
}

}  // namespace

FeatureOptions shared_tables(int32_t embedding) {
  FeatureOptions options;
  options.embedding = embedding;
  options.share_tables = true;
  options.pooling = "sum";
  return options;
}

MultiTaskOptions MultiTaskOptions::read(const Json& table) {
  MultiTaskOptions options;
  Fields fields(under("student", table), "student");
  read_feature_options(fields, options.features);
  fields.read("attribute_embedding", options.attribute_embedding);
  fields.read("sequences", options.sequences);
  fields.read("layers", options.layers);
  fields.read("heads", options.heads);
  fields.read("hidden", options.hidden);
  read_mixture(fields, options.mixture);
  read_layers(fields, "item_layers", options.item_layers, true);
  fields.read("tasks", options.mixture.tasks);
  fields.finish();
  check_student_tasks(fields.name("tasks"), options.mixture.tasks);
  check_least(fields, "attribute_embedding", options.attribute_embedding, 1);
  check_least(fields, "layers", options.layers, 0);
  check_least(fields, "heads", options.heads, 1);
  check_least(fields, "hidden", options.hidden, 0);
  if (!options.features.share_tables)
    fail<ConfigError>("{}: a multi_task student has one table of items for histories and targets",
                      fields.name("share_tables"));
  return options;
}

AlignedOptions AlignedOptions::read(const Json& table) {
  AlignedOptions options;
  options.mixture.head_layers = {128, 64};
  Fields fields(under("teacher", table), "teacher");
  read_feature_options(fields, options.features);
  fields.read_choice("sharing", options.sharing, {"none", "embeddings", "bottom"});
  read_mixture(fields, options.mixture);
  fields.finish();
  return options;
}

InputSpec make_fields(const Schema& schema, Side side, const FeatureOptions& options) {
  const char* prefix = side == Side::kUser ? "user" : side == Side::kItem ? "item" : "pair";
  FeatureOptions shared = options;
  shared.share_tables = true;
  return make_input(schema, side, prefix, "", shared);
}

ModelSpec multi_task_spec(const Schema& schema, const MultiTaskOptions& options) {
  ModelSpec spec;
  spec.kind = "multi_task";
  spec.item = {"item", make_fields(schema, Side::kItem, options.features), options.item_layers};
  std::set<std::string> item_tables;
  for (const FieldSpec& field : spec.item.input.fields) item_tables.insert(field.table);
  spec.user = {"user", make_fields(schema, Side::kUser, options.features)};
  for (const std::string& name : options.sequences)
    spec.user.sequences.push_back(take_sequence(schema, name, spec.user.input, options));
  for (FieldSpec& field : spec.user.input.fields)
    if (item_tables.count(field.table) == 0) field.dim = options.attribute_embedding;
  spec.user.mixture = options.mixture;
  return spec;
}

}  // namespace retort
