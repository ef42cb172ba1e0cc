#include "retort/common/recipe.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include <toml++/toml.h>

#include "retort/common/text.h"

namespace retort {
namespace {

constexpr const char* kBase = "base";  // what recipes extend, none of its own

Json to_json(const toml::node& node) {
  if (const auto* table = node.as_table()) {
    Json json = Json::object();
    for (const auto& [key, value] : *table) json[std::string(key.str())] = to_json(value);
    return json;
  }
  if (const auto* array = node.as_array()) {
    Json json = Json::array();
    for (const auto& value : *array) json.push_back(to_json(value));
    return json;
  }
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* integer = node.as_integer()) return integer->get();
  if (const auto* number = node.as_floating_point()) return number->get();
  if (const auto* boolean = node.as_boolean()) return boolean->get();
  std::ostringstream date;  // dates and times become the text a recipe would write in quotes
  if (const auto* value = node.as_date()) date << value->get();
  if (const auto* value = node.as_date_time()) date << value->get();
  return date.str();
}

Json parse_toml(const std::string& text, const std::string& where) {
  try {
    return to_json(toml::parse(text, where));
  } catch (const toml::parse_error& error) {
    fail<ConfigError>("{}:{}:{}: {}", where, error.source().begin.line, error.source().begin.column,
                      error.description());
  }
}

void merge(Json& into, const Json& from) {
  for (const auto& [key, value] : from.items()) {
    if (value.is_object() && into.contains(key) && into[key].is_object())
      merge(into[key], value);
    else
      into[key] = value;
  }
}

Json load_with_bases(const fs::path& file, int depth) {
  if (depth > 8) fail<ConfigError>("{}: 'extends' goes in a circle", file.string());
  Json recipe = parse_toml(read_file(file), file.string());
  if (!recipe.contains("extends")) return recipe;
  Json base = load_with_bases(file.parent_path() / recipe["extends"].get<std::string>(), depth + 1);
  recipe.erase("extends");
  merge(base, recipe);
  return base;
}

void apply_preset(Json& recipe, std::string_view preset, const fs::path& file) {
  const Json presets = recipe.contains("presets") ? recipe["presets"] : Json::object();
  recipe.erase("presets");
  if (preset.empty()) return;
  const std::string name(preset);
  if (!presets.contains(name)) {
    std::string names;
    for (const auto& [key, value] : presets.items()) names += (names.empty() ? "" : ", ") + key;
    fail<ConfigError>("{}: no preset '{}'; there are: {}", file.string(), name,
                      names.empty() ? "none" : names);
  }
  merge(recipe, presets[name]);
}

void apply_set(Json& recipe, const std::string& assignment) {
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0)
    fail<ConfigError>("--set {}: write key=value, as in --set train.batch=2048", assignment);
  const std::string key = assignment.substr(0, equals), value = assignment.substr(equals + 1);
  Json parsed;
  try {
    parsed = to_json(toml::parse("value = " + value))["value"];
  } catch (const toml::parse_error&) {
    parsed = value;  // a bare word is a string
  }
  Json* at = &recipe;
  std::istringstream parts(key);
  std::vector<std::string> names;
  for (std::string part; std::getline(parts, part, '.');) names.push_back(part);
  for (size_t i = 0; i + 1 < names.size(); ++i) {
    at = &(*at)[names[i]];
    if (!at->is_null() && !at->is_object())
      fail<ConfigError>("--set {}: '{}' is a value, not a table", assignment, names[i]);
  }
  (*at)[names.back()] = parsed;
}

std::vector<fs::path> recipe_roots() {
  std::vector<fs::path> roots;
  if (const char* set = std::getenv("RETORT_RECIPES")) roots.emplace_back(set);
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  for (fs::path folder = self.parent_path(); !error && folder.has_relative_path();
       folder = folder.parent_path()) {
    roots.push_back(folder / "recipes");
    roots.push_back(folder / "share/retort/recipes");
  }
  roots.emplace_back("recipes");
  return roots;
}

}  // namespace

fs::path find_recipe(std::string_view name_or_path, std::string_view folder) {
  const fs::path given(name_or_path);
  if (fs::is_regular_file(given)) return given;
  for (const fs::path& root : recipe_roots()) {
    const fs::path file = root / folder / (given.string() + ".toml");
    if (fs::is_regular_file(file)) return file;
  }
  const std::vector<std::string> known = recipe_names(folder);
  const std::string near = nearest_name(name_or_path, known);
  fail<ConfigError>("no recipe '{}': neither a file nor one of: {}{}", name_or_path,
                    fmt::join(known, ", "), near.empty() ? "" : "; did you mean '" + near + "'?");
}

std::vector<std::string> recipe_names(std::string_view folder) {
  std::set<std::string> names;
  for (const fs::path& root : recipe_roots()) {
    if (!fs::is_directory(root / folder)) continue;
    for (const auto& entry : fs::directory_iterator(root / folder))
      if (entry.path().extension() == ".toml" && entry.path().stem() != kBase)
        names.insert(entry.path().stem().string());
  }
  return {names.begin(), names.end()};
}

Json load_recipe(const fs::path& file, std::string_view preset,
                 const std::vector<std::string>& sets) {
  Json recipe = load_with_bases(file, 0);
  apply_preset(recipe, preset, file);
  for (const std::string& assignment : sets) apply_set(recipe, assignment);
  return recipe;
}

bool has_preset(const fs::path& file, std::string_view preset) {
  const Json recipe = load_with_bases(file, 0);
  return recipe.contains("presets") && recipe["presets"].contains(std::string(preset));
}

Fields::Fields(const Json& recipe, std::string path) : path_(std::move(path)) {
  const Json* at = &recipe;
  std::istringstream parts(path_);
  for (std::string part; at != nullptr && std::getline(parts, part, '.');) {
    const auto found = at->is_object() ? at->find(part) : at->end();
    at = at->is_object() && found != at->end() ? &*found : nullptr;
  }
  table_ = at == nullptr || at->is_null() ? Json::object() : *at;
  if (!table_.is_object())
    fail<ConfigError>("recipe key '{}': a table is expected, not {}", path_, table_.dump());
}

bool Fields::has(const std::string& key) const { return table_.contains(key); }

std::string Fields::name(const std::string& key) const {
  return "recipe key '" + (path_.empty() ? key : path_ + '.' + key) + "'";
}

void Fields::read_choice(const std::string& key, std::string& value,
                         const std::vector<std::string>& choices) {
  read(key, value);
  if (std::find(choices.begin(), choices.end(), value) != choices.end()) return;
  fail<ConfigError>("{}: '{}' is none of: {}", name(key), value, fmt::join(choices, ", "));
}

void Fields::read_duration(const std::string& key, int64_t& microseconds) {
  std::string text;
  read(key, text);
  if (!text.empty()) microseconds = parse_duration(text, name(key));
}

const Json& Fields::sub(const std::string& key) {
  static const Json kNull;
  known_.insert(key);
  const auto at = table_.find(key);
  return at == table_.end() ? kNull : *at;
}

void Fields::finish() const {
  for (const auto& [key, value] : table_.items()) {
    if (known_.contains(key)) continue;
    const std::string near = nearest_name(key, {known_.begin(), known_.end()});
    fail<ConfigError>("{} is unknown{}", name(key),
                      near.empty() ? "; known here: " + fmt::format("{}", fmt::join(known_, ", "))
                                   : "; did you mean '" + near + "'?");
  }
}

void Fields::wrong_type(const std::string& key, const Json& value,
                        const std::string& expected) const {
  fail<ConfigError>("{}: {} is expected, not {}", name(key), expected, value.dump());
}

}  // namespace retort
