#include <algorithm>
#include <limits>

#include "retort/bundle/model_spec.h"
#include "retort/common/error.h"

namespace retort {
namespace {

std::string side_name(Side side) {
  return side == Side::kUser ? "user" : side == Side::kItem ? "item" : "pair";
}

/// The value of `key`, of the JSON type that `is` asks for; DataError names the full key.
const Json& member(const Json& json, const std::string& at, const char* key,
                   bool (Json::*is)() const noexcept, const char* expected) {
  const std::string name = at.empty() ? key : at + "." + key;
  if (!json.is_object()) fail<DataError>("model spec: '{}' is not a table", at);
  const auto found = json.find(key);
  if (found == json.end()) fail<DataError>("model spec: key '{}' is missing", name);
  if (!((*found).*is)())
    fail<DataError>("model spec: key '{}' is {}, expected {}", name, found->dump(), expected);
  return *found;
}

std::string text(const Json& json, const std::string& at, const char* key) {
  return member(json, at, key, &Json::is_string, "a text").get<std::string>();
}

int64_t whole(const Json& value, const std::string& name, int64_t low, int64_t high) {
  if (!value.is_number_integer() ||
      (value.is_number_unsigned() &&
       value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())))
    fail<DataError>("model spec: key '{}' is {}, expected an integer", name, value.dump());
  const int64_t number = value.get<int64_t>();
  if (number < low || number > high)
    fail<DataError>("model spec: key '{}' is {}, expected {} to {}", name, number, low, high);
  return number;
}

int64_t whole(const Json& json, const std::string& at, const char* key, int64_t low, int64_t high) {
  return whole(member(json, at, key, &Json::is_number_integer, "an integer"), at + "." + key, low,
               high);
}

constexpr int64_t kMaxRows = std::numeric_limits<int32_t>::max();
constexpr int64_t kMaxWidth = 1 << 20;

/// The same for a width or count; an absent key leaves `value` as it is.
void read_whole(const Json& json, const std::string& at, const char* key, int64_t low,
                int32_t& value) {
  if (json.contains(key)) value = static_cast<int32_t>(whole(json, at, key, low, kMaxWidth));
}

std::vector<int32_t> widths(const Json& json, const std::string& at, const char* key) {
  const Json& list = member(json, at, key, &Json::is_array, "a list of widths");
  std::vector<int32_t> values;
  for (size_t i = 0; i < list.size(); ++i)
    values.push_back(
        static_cast<int32_t>(whole(list[i], fmt::format("{}.{}[{}]", at, key, i), 1, kMaxWidth)));
  return values;
}

void read_widths(const Json& json, const std::string& at, const char* key,
                 std::vector<int32_t>& values) {
  if (json.contains(key)) values = widths(json, at, key);
  if (values.empty()) fail<DataError>("model spec: key '{}.{}' is empty", at, key);
}

Json fields_to_json(const std::vector<FieldSpec>& fields, const std::vector<int>& sparse_index) {
  Json list = Json::array();
  for (size_t i = 0; i < fields.size(); ++i) {
    const FieldSpec& field = fields[i];
    list.push_back({{"feature", field.feature},
                    {"table", field.table},
                    {"rows", field.rows},
                    {"dim", field.dim},
                    {"pooling", field.pooling},
                    {"storage", field.storage},
                    {"sparse_index", sparse_index[i]}});
  }
  return list;
}

/// The list `at`.fields.
void fields_from_json(const Json& json, const std::string& at, std::vector<FieldSpec>& out,
                      std::vector<int>& sparse_index) {
  const Json& fields = member(json, at, "fields", &Json::is_array, "a list");
  for (size_t i = 0; i < fields.size(); ++i) {
    const std::string name = fmt::format("{}.fields[{}]", at, i);
    FieldSpec field;
    field.feature = text(fields[i], name, "feature");
    field.table = text(fields[i], name, "table");
    field.rows = whole(fields[i], name, "rows", 1, kMaxRows);
    field.dim = static_cast<int32_t>(whole(fields[i], name, "dim", 1, kMaxWidth));
    field.pooling = text(fields[i], name, "pooling");
    if (field.pooling != "mean" && field.pooling != "sum")
      fail<DataError>("model spec: key '{}.pooling' is '{}', expected 'mean' or 'sum'", name,
                      field.pooling);
    if (fields[i].contains("storage")) field.storage = text(fields[i], name, "storage");
    if (field.storage != "fp32" && field.storage != "bf16")
      fail<DataError>("model spec: key '{}.storage' is '{}', expected 'fp32' or 'bf16'", name,
                      field.storage);
    out.push_back(field);
    sparse_index.push_back(static_cast<int>(whole(fields[i], name, "sparse_index", 0, kMaxWidth)));
  }
}

Json input_to_json(const InputSpec& input) {
  return {{"side", side_name(input.side)},
          {"fields", fields_to_json(input.fields, input.sparse_index)},
          {"dense_width", input.dense_width}};
}

InputSpec input_from_json(const Json& json, const std::string& at, Side expected) {
  InputSpec input;
  input.side = expected;
  if (text(json, at, "side") != side_name(expected))
    fail<DataError>("model spec: key '{}.side' is '{}', expected '{}'", at, text(json, at, "side"),
                    side_name(expected));
  fields_from_json(json, at, input.fields, input.sparse_index);
  input.dense_width = static_cast<int32_t>(whole(json, at, "dense_width", 0, kMaxWidth));
  return input;
}

Json sequence_to_json(const SequenceSpec& sequence) {
  return {{"name", sequence.name},
          {"fields", fields_to_json(sequence.fields, sequence.sparse_index)},
          {"length", sequence.length},
          {"layers", sequence.layers},
          {"heads", sequence.heads},
          {"hidden", sequence.hidden}};
}

SequenceSpec sequence_from_json(const Json& json, const std::string& at) {
  SequenceSpec sequence;
  sequence.name = text(json, at, "name");
  fields_from_json(json, at, sequence.fields, sequence.sparse_index);
  if (sequence.fields.empty()) fail<DataError>("model spec: key '{}.fields' is empty", at);
  for (const FieldSpec& field : sequence.fields)
    if (field.dim != sequence.dim())
      fail<DataError>(
          "model spec: '{}': fields '{}' and '{}' of one sequence have {} and {} values; they must "
          "be equal",
          at, sequence.fields.front().feature, field.feature, sequence.dim(), field.dim);
  read_whole(json, at, "length", 1, sequence.length);
  read_whole(json, at, "layers", 0, sequence.layers);
  read_whole(json, at, "heads", 1, sequence.heads);
  read_whole(json, at, "hidden", 1, sequence.hidden);
  if (sequence.layers > 0 && sequence.dim() % sequence.heads != 0)
    fail<DataError>(
        "model spec: key '{}.heads' is {}, which does not divide the {} values of a "
        "step",
        at, sequence.heads, sequence.dim());
  return sequence;
}

Json mixture_to_json(const MixtureSpec& mixture) {
  return {{"product_dim", mixture.product_dim},
          {"experts", mixture.experts},
          {"expert_layers", mixture.expert_layers},
          {"head_layers", mixture.head_layers},
          {"tasks", mixture.tasks}};
}

/// Different names that are not empty.
std::vector<std::string> names(const Json& json, const std::string& at, const char* key) {
  const Json& list = member(json, at, key, &Json::is_array, "a list of names");
  std::vector<std::string> all;
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string name = fmt::format("{}.{}[{}]", at, key, i);
    if (!list[i].is_string())
      fail<DataError>("model spec: key '{}' is {}, expected a text", name, list[i].dump());
    const std::string task = list[i].get<std::string>();
    if (task.empty() || std::ranges::find(all, task) != all.end())
      fail<DataError>("model spec: key '{}' is '{}', which is empty or there already", name, task);
    all.push_back(task);
  }
  return all;
}

MixtureSpec mixture_from_json(const Json& json, const std::string& at) {
  if (!json.is_object()) fail<DataError>("model spec: '{}' is not a table", at);
  MixtureSpec mixture;
  read_whole(json, at, "product_dim", 0, mixture.product_dim);
  read_whole(json, at, "experts", 1, mixture.experts);
  read_widths(json, at, "expert_layers", mixture.expert_layers);
  read_widths(json, at, "head_layers", mixture.head_layers);
  if (json.contains("tasks")) mixture.tasks = names(json, at, "tasks");
  return mixture;
}

GateSpec gate_from_json(const Json& json, const std::string& at) {
  GateSpec gate;
  gate.kind = text(json, at, "kind");
  if (gate.kind != "learned" && gate.kind != "equal")
    fail<DataError>("model spec: key '{}.kind' is '{}', expected 'learned' or 'equal'", at,
                    gate.kind);
  gate.tasks = names(json, at, "tasks");
  if (gate.tasks.size() < 2)
    fail<DataError>("model spec: key '{}.tasks' names {} tasks, expected 2 or more", at,
                    gate.tasks.size());
  gate.layers = widths(json, at, "layers");
  return gate;
}

Json tower_to_json(const TowerSpec& tower) {
  Json json{{"name", tower.name}, {"input", input_to_json(tower.input)}, {"layers", tower.layers}};
  for (const SequenceSpec& sequence : tower.sequences)
    json["sequences"].push_back(sequence_to_json(sequence));
  if (tower.mixture) json["mixture"] = mixture_to_json(*tower.mixture);
  if (!tower.towers.empty()) json["towers"] = tower.towers;
  if (tower.gate)
    json["gate"] = {
        {"kind", tower.gate->kind}, {"tasks", tower.gate->tasks}, {"layers", tower.gate->layers}};
  return json;
}

TowerSpec tower_from_json(const Json& model, const char* key, Side side) {
  const Json& json = member(model, "", key, &Json::is_object, "a table");
  TowerSpec tower;
  tower.name = text(json, key, "name");
  const std::string input = std::string(key) + ".input";
  tower.input =
      input_from_json(member(json, key, "input", &Json::is_object, "a table"), input, side);
  if (json.contains("sequences")) {
    const Json& sequences = member(json, key, "sequences", &Json::is_array, "a list");
    for (size_t i = 0; i < sequences.size(); ++i)
      tower.sequences.push_back(
          sequence_from_json(sequences[i], fmt::format("{}.sequences[{}]", key, i)));
  }
  if (tower.input_width() == 0)
    fail<DataError>("model spec: '{}' has neither fields nor dense values nor sequences", input);
  tower.layers = widths(json, key, "layers");
  if (json.contains("towers")) tower.towers = names(json, key, "towers");
  if (!tower.towers.empty() && tower.layers.empty())
    fail<DataError>("model spec: key '{}.layers' is empty, but there are several towers", key);
  if (json.contains("gate"))
    tower.gate = gate_from_json(member(json, key, "gate", &Json::is_object, "a table"),
                                std::string(key) + ".gate");
  if (!json.contains("mixture")) return tower;
  tower.mixture = mixture_from_json(json["mixture"], std::string(key) + ".mixture");
  if (!tower.layers.empty())
    fail<DataError>("model spec: '{}' has both layers and a mixture; leave '{}.layers' empty", key,
                    key);
  return tower;
}

/// A gate with towers of its tasks on one of the sides.
void check_gate(const ModelSpec& spec) {
  if (spec.item.gate) fail<DataError>("model spec: key 'item.gate': only users have one");
  if (spec.user.gate.has_value() != (spec.kind == "three_tower"))
    fail<DataError>("model spec: a model of kind '{}' has {} key 'user.gate'", spec.kind,
                    spec.user.gate ? "no" : "a");
  if (!spec.user.gate) {
    if (!spec.user.towers.empty() || !spec.item.towers.empty())
      fail<DataError>("model spec: a model of kind '{}' has no key 'towers'", spec.kind);
    return;
  }
  const bool users = !spec.user.towers.empty();
  const std::vector<std::string>& towers = users ? spec.user.towers : spec.item.towers;
  if (users != spec.item.towers.empty() || towers != spec.user.gate->tasks)
    fail<DataError>(
        "model spec: keys 'user.towers' ({}) and 'item.towers' ({}): one of them is expected, with "
        "the tasks of 'user.gate' ({})",
        fmt::join(spec.user.towers, ", "), fmt::join(spec.item.towers, ", "),
        fmt::join(spec.user.gate->tasks, ", "));
}

/// Only a model of kind "multi_task" has a mixture, on the user's side alone, and only
/// "three_tower" a gate.
void check_kind(const ModelSpec& spec) {
  const bool several = spec.kind == "multi_task";
  if (!several && spec.kind != "two_tower" && spec.kind != "three_tower")
    fail<DataError>(
        "model spec: key 'kind' is '{}', expected 'two_tower', 'multi_task' or 'three_tower'",
        spec.kind);
  if (spec.item.mixture) fail<DataError>("model spec: key 'item.mixture': only users have one");
  if (several != spec.user.mixture.has_value())
    fail<DataError>("model spec: a model of kind '{}' has {} key 'user.mixture'", spec.kind,
                    several ? "a" : "no");
  if (several && spec.user.mixture->tasks.size() < 2)
    fail<DataError>("model spec: key 'user.mixture.tasks' names {} tasks, expected 2 or more",
                    spec.user.mixture->tasks.size());
  check_gate(spec);
}

}  // namespace

Json to_json(const ModelSpec& spec) {
  Json json{{"kind", spec.kind},
            {"user", tower_to_json(spec.user)},
            {"item", tower_to_json(spec.item)},
            {"beta", spec.beta}};
  if (spec.user.mixture && spec.user.mixture->tasks.size() == 2) json["fusion"] = spec.fusion;
  if (spec.user.mixture && spec.user.mixture->tasks.size() > 2) json["shares"] = task_shares(spec);
  return json;
}

namespace {

void read_shares(const Json& json, ModelSpec& spec) {
  std::vector<double> shares;
  for (const Json& share : member(json, "", "shares", &Json::is_array, "a list of numbers")) {
    if (!share.is_number())
      fail<DataError>("model spec: key 'shares' holds {}, expected numbers", share.dump());
    shares.push_back(share.get<double>());
  }
  try {
    set_shares(spec, shares, "key 'shares'");
  } catch (const ConfigError& error) {
    fail<DataError>("model spec: {}", error.what());
  }
}

}  // namespace

ModelSpec model_spec_from_json(const Json& json) {
  if (!json.is_object()) fail<DataError>("model spec: not a table");
  ModelSpec spec;
  spec.kind = text(json, "", "kind");
  spec.user = tower_from_json(json, "user", Side::kUser);
  spec.item = tower_from_json(json, "item", Side::kItem);
  check_kind(spec);
  if (spec.user.dim() != spec.item.dim())
    fail<DataError>(
        "model spec: user vectors have {} values, item vectors {} (keys '{}' and 'item.layers'); "
        "they must be equal",
        spec.user.dim(), spec.item.dim(),
        spec.user.mixture ? "user.mixture.head_layers" : "user.layers");
  spec.beta = member(json, "", "beta", &Json::is_number, "a number").get<double>();
  if (json.contains("shares")) read_shares(json, spec);
  if (!json.contains("fusion")) return spec;
  spec.fusion = member(json, "", "fusion", &Json::is_number, "a number").get<double>();
  if (!(spec.fusion >= 0 && spec.fusion <= 1))
    fail<DataError>("model spec: key 'fusion' is {}, expected 0 to 1", spec.fusion);
  return spec;
}

}  // namespace retort
