#include "retort/bundle/model_spec.h"

#include <limits>

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

Json input_to_json(const InputSpec& input) {
  Json fields = Json::array();
  for (size_t i = 0; i < input.fields.size(); ++i) {
    const FieldSpec& field = input.fields[i];
    fields.push_back({{"feature", field.feature},
                      {"table", field.table},
                      {"rows", field.rows},
                      {"dim", field.dim},
                      {"pooling", field.pooling},
                      {"storage", field.storage},
                      {"sparse_index", input.sparse_index[i]}});
  }
  return {{"side", side_name(input.side)}, {"fields", fields}, {"dense_width", input.dense_width}};
}

InputSpec input_from_json(const Json& json, const std::string& at, Side expected) {
  InputSpec input;
  input.side = expected;
  if (text(json, at, "side") != side_name(expected))
    fail<DataError>("model spec: key '{}.side' is '{}', expected '{}'", at, text(json, at, "side"),
                    side_name(expected));
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
    input.fields.push_back(field);
    input.sparse_index.push_back(
        static_cast<int>(whole(fields[i], name, "sparse_index", 0, kMaxWidth)));
  }
  input.dense_width = static_cast<int32_t>(whole(json, at, "dense_width", 0, kMaxWidth));
  return input;
}

Json tower_to_json(const TowerSpec& tower) {
  return {{"name", tower.name}, {"input", input_to_json(tower.input)}, {"layers", tower.layers}};
}

TowerSpec tower_from_json(const Json& model, const char* key, Side side) {
  const Json& json = member(model, "", key, &Json::is_object, "a table");
  TowerSpec tower;
  tower.name = text(json, key, "name");
  const std::string input = std::string(key) + ".input";
  tower.input =
      input_from_json(member(json, key, "input", &Json::is_object, "a table"), input, side);
  if (tower.input.width() == 0)
    fail<DataError>("model spec: '{}' has neither fields nor dense values", input);
  const Json& layers = member(json, key, "layers", &Json::is_array, "a list of widths");
  for (size_t i = 0; i < layers.size(); ++i)
    tower.layers.push_back(
        static_cast<int32_t>(whole(layers[i], fmt::format("{}.layers[{}]", key, i), 1, kMaxWidth)));
  if (tower.layers.empty()) fail<DataError>("model spec: key '{}.layers' is empty", key);
  return tower;
}

}  // namespace

int32_t InputSpec::width() const {
  int32_t width = dense_width;
  for (const FieldSpec& field : fields) width += field.dim;
  return width;
}

Json to_json(const ModelSpec& spec) {
  return {{"kind", spec.kind},
          {"user", tower_to_json(spec.user)},
          {"item", tower_to_json(spec.item)},
          {"beta", spec.beta}};
}

ModelSpec model_spec_from_json(const Json& json) {
  if (!json.is_object()) fail<DataError>("model spec: not a table");
  ModelSpec spec;
  spec.kind = text(json, "", "kind");
  if (spec.kind != "two_tower")
    fail<DataError>("model spec: key 'kind' is '{}', expected 'two_tower'", spec.kind);
  spec.user = tower_from_json(json, "user", Side::kUser);
  spec.item = tower_from_json(json, "item", Side::kItem);
  if (spec.user.layers.back() != spec.item.layers.back())
    fail<DataError>("model spec: user.layers ends with {}, item.layers with {}; they must be equal",
                    spec.user.layers.back(), spec.item.layers.back());
  spec.beta = member(json, "", "beta", &Json::is_number, "a number").get<double>();
  return spec;
}

InputSpec make_input(const Schema& schema, Side side, const std::string& prefix, int32_t dim,
                     bool share) {
  InputSpec input;
  input.side = side;
  const std::vector<int> sparse = schema.sparse_of(side);
  for (size_t i = 0; i < sparse.size(); ++i) {
    const FeatureSpec& feature = schema.features[static_cast<size_t>(sparse[i])];
    FieldSpec field;
    field.feature = feature.name;
    field.table =
        share && !feature.vocabulary.empty() ? feature.vocabulary : prefix + "." + feature.name;
    field.rows = feature.rows;
    field.dim = dim;
    input.fields.push_back(field);
    input.sparse_index.push_back(static_cast<int>(i));
  }
  input.dense_width = schema.dense_width(side);
  return input;
}

}  // namespace retort
