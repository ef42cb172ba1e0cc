#include "retort/bundle/spec_json.h"

#include <algorithm>
#include <limits>

#include "retort/common/error.h"

namespace retort::spec_json {
namespace {

std::string side_name(Side side) {
  return side == Side::kUser ? "user" : side == Side::kItem ? "item" : "pair";
}

std::string full(const std::string& at, const char* key) {
  return at.empty() ? key : at + "." + key;
}

}  // namespace

const Json& member(const Json& json, const std::string& at, const char* key,
                   bool (Json::*is)() const noexcept, const char* expected) {
  const std::string name = full(at, key);
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
  return whole(member(json, at, key, &Json::is_number_integer, "an integer"), full(at, key), low,
               high);
}

void read_whole(const Json& json, const std::string& at, const char* key, int64_t low,
                int32_t& value) {
  if (json.contains(key)) value = static_cast<int32_t>(whole(json, at, key, low, kMaxWidth));
}

std::vector<int32_t> widths(const Json& json, const std::string& at, const char* key) {
  const Json& list = member(json, at, key, &Json::is_array, "a list of widths");
  std::vector<int32_t> values;
  for (size_t i = 0; i < list.size(); ++i)
    values.push_back(static_cast<int32_t>(
        whole(list[i], fmt::format("{}[{}]", full(at, key), i), 1, kMaxWidth)));
  return values;
}

void read_widths(const Json& json, const std::string& at, const char* key,
                 std::vector<int32_t>& values) {
  if (json.contains(key)) values = widths(json, at, key);
  if (values.empty()) fail<DataError>("model spec: key '{}' is empty", full(at, key));
}

namespace {

constexpr int64_t kMaxRows = std::numeric_limits<int32_t>::max();

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

}  // namespace

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

}  // namespace retort::spec_json
