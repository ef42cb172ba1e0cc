#include <algorithm>

#include "retort/bundle/model_spec.h"
#include "retort/bundle/spec_json.h"
#include "retort/common/error.h"

namespace retort {

using namespace spec_json;

namespace {

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
