#include "retort/study/compare_axes.h"

#include <set>
#include <vector>

#include "retort/common/error.h"
#include "retort/common/recipe.h"

namespace retort {
namespace {

struct Axis {
  std::string name;
  std::vector<Json> values;
};

Axis read_axis(const Json& table) {
  Axis axis;
  Fields fields(Json{{"axes", table}}, "axes");
  fields.read("name", axis.name);
  const Json values = fields.sub("values");
  fields.finish();
  if (axis.name.empty()) fail<ConfigError>("recipe key 'axes.name': every axis has one");
  if (!values.is_array() || values.empty())
    fail<ConfigError>("recipe key 'axes.values': '{}' wants a list of tables, one or more",
                      axis.name);
  std::set<std::string> names;
  for (const Json& value : values) {
    const bool named = value.is_object() && value.value("name", Json()).is_string();
    if (!named || !names.insert(value["name"]).second)
      fail<ConfigError>("recipe key 'axes.values': a value of '{}' has no name or that of another",
                        axis.name);
    if (value.contains("label"))
      fail<ConfigError>("recipe key 'axes.values.label': labels are made of the names; drop it");
    axis.values.push_back(value);
  }
  return axis;
}

void add(Json& row, const Json& value) {
  const auto joined = [&](const char* key, const char* between, const std::string& text) {
    const std::string before = row.value(key, "");
    row[key] = before.empty() ? text : before + between + text;
  };
  const std::string name = value["name"];
  for (const auto& [key, content] : value.items()) {
    if (key == "name" || key == "title") continue;
    if (key == "sets" && content.is_array() && row.contains(key))
      row[key].insert(row[key].end(), content.begin(), content.end());
    else
      row[key] = content;
  }
  joined("label", "-", name);
  joined("title", ", ", value.value("title", name));
}

void replace(Json& value, const std::string& from, const std::string& to) {
  if (value.is_structured()) {
    for (Json& part : value) replace(part, from, to);
  } else if (value.is_string()) {
    std::string text = value;
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
      text.replace(at, from.size(), to);
    value = text;
  }
}

}  // namespace

Json rows_of_axes(const Json& axes) {
  std::vector<Json> rows(axes.empty() ? 0 : 1, Json::object());
  std::set<std::string> names;
  for (const Json& table : axes) {
    const Axis axis = read_axis(table);
    if (!names.insert(axis.name).second)
      fail<ConfigError>("recipe key 'axes.name': two axes are called '{}'", axis.name);
    std::vector<Json> longer;
    for (const Json& row : rows) {
      for (const Json& value : axis.values) {
        Json& next = longer.emplace_back(row);
        add(next, value);
        next["chosen"].push_back(Json::array({"{" + axis.name + "}", value["name"]}));
      }
    }
    rows = std::move(longer);
  }
  for (Json& row : rows) {
    const Json chosen = row["chosen"];
    row.erase("chosen");
    for (const Json& pair : chosen) replace(row, pair[0], pair[1]);
  }
  return rows;
}

}  // namespace retort
