#include "retort/bundle/ranker_spec.h"

#include <algorithm>
#include <cmath>

#include "retort/bundle/spec_json.h"
#include "retort/common/error.h"

namespace retort {

using namespace spec_json;

namespace {

constexpr int32_t kMostParts = 1024;  // experts and levels

Json tasks_to_json(const RankerSpec& spec) {
  Json list = Json::array();
  for (const RankedTask& task : spec.tasks) {
    Json one{{"name", task.name}};
    if (task.parent >= 0) one["parent"] = spec.tasks[static_cast<size_t>(task.parent)].name;
    list.push_back(one);
  }
  return list;
}

std::vector<RankedTask> tasks_from_json(const Json& json) {
  std::vector<RankedTask> tasks;
  const auto place_of = [&](const std::string& name) {
    const auto found = std::ranges::find(tasks, name, &RankedTask::name);
    return found == tasks.end() ? -1 : static_cast<int>(found - tasks.begin());
  };
  const Json& list = member(json, "", "tasks", &Json::is_array, "a list");
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string at = fmt::format("tasks[{}]", i);
    RankedTask task{text(list[i], at, "name")};
    if (task.name.empty() || place_of(task.name) >= 0)
      fail<DataError>("model spec: key '{}.name' is '{}', which is empty or there already", at,
                      task.name);
    if (list[i].contains("parent")) {
      const std::string parent = text(list[i], at, "parent");
      task.parent = place_of(parent);
      if (task.parent < 0)
        fail<DataError>("model spec: key '{}.parent' is '{}', which is no task before it", at,
                        parent);
    }
    tasks.push_back(task);
  }
  if (tasks.empty()) fail<DataError>("model spec: key 'tasks' is empty");
  return tasks;
}

void check_seconds(const RankerSpec& spec) {
  if (!(spec.seconds_cap >= 0) || !std::isfinite(spec.seconds_cap))
    fail<DataError>("model spec: key 'seconds_cap' is {}, expected 0 or more", spec.seconds_cap);
  if (spec.seconds_cap == 0) return;
  const size_t tasks = spec.tasks.size();
  const bool heads = tasks > 2 && spec.tasks[tasks - 2].name == kRankedSeconds &&
                     spec.tasks[tasks - 1].name == kRankedDeviation &&
                     spec.tasks[tasks - 2].parent < 0 && spec.tasks[tasks - 1].parent < 0;
  if (!heads || std::ranges::find(spec.tasks, "click", &RankedTask::name) == spec.tasks.end())
    fail<DataError>(
        "model spec: with 'seconds_cap' there is a task 'click', and the last of 'tasks' are '{}' "
        "and '{}'",
        kRankedSeconds, kRankedDeviation);
}

void check_kind(const RankerSpec& spec) {
  const auto kinds = {"mmoe", "cgc", "shared_bottom", "single", "aligned"};
  if (std::ranges::find(kinds, spec.kind) == kinds.end())
    fail<DataError>("model spec: key 'kind' is '{}', expected {}", spec.kind,
                    fmt::join(kinds, ", "));
  const bool aligned = spec.kind == "aligned";
  if (aligned != spec.mixture.has_value() || (!aligned && !spec.sequences.empty()))
    fail<DataError>("model spec: a ranking model of kind '{}' has {}", spec.kind,
                    aligned ? "a key 'mixture'" : "no keys 'mixture' and 'sequences'");
  if (spec.kind == "single" && spec.tasks.size() != 1)
    fail<DataError>("model spec: a ranking model of kind 'single' has one task, not {}",
                    spec.tasks.size());
  if (!aligned) return;
  std::vector<std::string> names;
  for (const RankedTask& task : spec.tasks)
    if (task.parent < 0) names.push_back(task.name);
  if (names != spec.mixture->tasks || spec.mixture->head_layers.back() != 1 || spec.seconds_cap > 0)
    fail<DataError>(
        "model spec: a ranking model of kind 'aligned' has the tasks of its mixture, without "
        "parents, and heads that end in one logit");
}

void check_input(const InputSpec& input, const Schema& schema, const std::vector<FieldSpec>& fields,
                 const std::vector<int>& places) {
  const std::vector<int> sparse = schema.sparse_of(input.side);
  for (size_t i = 0; i < fields.size(); ++i) {
    const auto at = static_cast<size_t>(places[i]);
    if (at >= sparse.size() ||
        schema.features[static_cast<size_t>(sparse[at])].name != fields[i].feature ||
        schema.features[static_cast<size_t>(sparse[at])].rows != fields[i].rows)
      fail<DataError>("the ranking model's feature '{}' ({} rows) is not at place {} of the schema",
                      fields[i].feature, fields[i].rows, at);
  }
  if (input.dense_width != 0 && input.dense_width != schema.dense_width(input.side))
    fail<DataError>("the ranking model sees {} dense values of a side that has {}",
                    input.dense_width, schema.dense_width(input.side));
}

}  // namespace

std::string given_name(const RankerSpec& spec, const RankedTask& task) {
  return task.name + "_given_" + spec.tasks[static_cast<size_t>(task.parent)].name;
}

std::vector<int32_t> field_widths(const RankerSpec& spec) {
  std::vector<int32_t> widths;
  const auto add = [&](const InputSpec& input) {
    for (const FieldSpec& field : input.fields) widths.push_back(field.dim);
    if (input.dense_width > 0) widths.push_back(input.dense_width);
  };
  add(spec.user);
  for (const SequenceSpec& sequence : spec.sequences) widths.push_back(sequence.dim());
  add(spec.item);
  add(spec.pair);
  return widths;
}

std::vector<FieldSpec> table_fields(const RankerSpec& spec) {
  std::vector<FieldSpec> fields;
  const auto add = [&](const std::vector<FieldSpec>& more) {
    fields.insert(fields.end(), more.begin(), more.end());
  };
  add(spec.user.fields);
  for (const SequenceSpec& sequence : spec.sequences) add(sequence.fields);
  add(spec.item.fields);
  add(spec.pair.fields);
  return fields;
}

Json to_json(const RankerSpec& spec) {
  Json json{{"kind", spec.kind},
            {"user", input_to_json(spec.user)},
            {"item", input_to_json(spec.item)},
            {"pair", input_to_json(spec.pair)},
            {"tasks", tasks_to_json(spec)},
            {"seconds_cap", spec.seconds_cap}};
  if (spec.mixture) {
    json["mixture"] = mixture_to_json(*spec.mixture);
    json["sequences"] = Json::array();
    for (const SequenceSpec& sequence : spec.sequences)
      json["sequences"].push_back(sequence_to_json(sequence));
    return json;
  }
  json["expert_layers"] = spec.expert_layers;
  json["tower_layers"] = spec.tower_layers;
  if (spec.kind == "mmoe") json["experts"] = spec.experts;
  if (spec.kind == "cgc")
    json.update({{"shared_experts", spec.shared_experts},
                 {"task_experts", spec.task_experts},
                 {"levels", spec.levels}});
  return json;
}

RankerSpec ranker_spec_from_json(const Json& json) {
  if (!json.is_object()) fail<DataError>("model spec: not a table");
  RankerSpec spec;
  spec.kind = text(json, "", "kind");
  for (const auto& [key, side, input] : {std::tuple{"user", Side::kUser, &spec.user},
                                         {"item", Side::kItem, &spec.item},
                                         {"pair", Side::kPair, &spec.pair}})
    *input = input_from_json(member(json, "", key, &Json::is_object, "a table"), key, side);
  if (json.contains("sequences")) {
    const Json& sequences = member(json, "", "sequences", &Json::is_array, "a list");
    for (size_t i = 0; i < sequences.size(); ++i)
      spec.sequences.push_back(sequence_from_json(sequences[i], fmt::format("sequences[{}]", i)));
  }
  if (json.contains("mixture")) spec.mixture = mixture_from_json(json["mixture"], "mixture");
  for (const auto& [key, value] : {std::pair{"experts", &spec.experts},
                                   {"shared_experts", &spec.shared_experts},
                                   {"task_experts", &spec.task_experts},
                                   {"levels", &spec.levels}})
    if (json.contains(key)) *value = static_cast<int32_t>(whole(json[key], key, 1, kMostParts));
  read_widths(json, "", "expert_layers", spec.expert_layers);
  if (json.contains("tower_layers")) spec.tower_layers = widths(json, "", "tower_layers");
  spec.tasks = tasks_from_json(json);
  spec.seconds_cap = member(json, "", "seconds_cap", &Json::is_number, "a number").get<double>();
  check_seconds(spec);
  check_kind(spec);
  if (field_widths(spec).empty()) fail<DataError>("model spec: the ranking model sees no feature");
  return spec;
}

void check_fits(const RankerSpec& spec, const Schema& schema) {
  for (const InputSpec* input : {&spec.user, &spec.item, &spec.pair})
    check_input(*input, schema, input->fields, input->sparse_index);
  for (const SequenceSpec& sequence : spec.sequences)
    check_input({Side::kUser, {}, {}, 0}, schema, sequence.fields, sequence.sparse_index);
}

}  // namespace retort
