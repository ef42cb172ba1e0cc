// Recipes: TOML files that say what to read (recipes/data/) or what to train (recipes/).
// A recipe is resolved once into JSON; each component reads its own table into its Options struct
// through `Fields`, which answers an unknown key with the nearest known one.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "retort/common/error.h"
#include "retort/common/file.h"
#include "retort/common/json.h"

namespace retort {

/// Finds a recipe: a path to a .toml file, or a name looked up as NAME.toml in `folder` below
/// RETORT_RECIPES or the recipes/ beside the executable's source or installation.
/// Throws ConfigError listing the names there are.
fs::path find_recipe(std::string_view name_or_path, std::string_view folder = "");
/// The names that find_recipe knows in `folder`, sorted, without "base", which others extend.
std::vector<std::string> recipe_names(std::string_view folder = "");

/// Parses the file; `extends = "other.toml"` (relative to it) is merged below it, then the table
/// `presets.PRESET` over it (the key `presets` is dropped; empty `preset` applies none), then
/// each `a.b=c` of `sets` (the value in TOML syntax, or a bare string). Throws ConfigError with
/// file, line and remedy for a syntax error, an unknown preset or a `--set` that is no assignment.
Json load_recipe(const fs::path& file, std::string_view preset,
                 const std::vector<std::string>& sets);

/// Whether the file (or what it extends) has the table `presets.PRESET`.
bool has_preset(const fs::path& file, std::string_view preset);

/// Reads the keys of one recipe table. Every key that was not read by the time of `finish()` is
/// an error that names the nearest known key.
///   Fields fields(recipe, "train");
///   fields.read("batch", options.batch);
///   fields.finish();
class Fields {
 public:
  /// The table `recipe[path]`; missing or null counts as empty. `path` may be dotted; "" = root.
  Fields(const Json& recipe, std::string path);

  bool has(const std::string& key) const;
  /// Sets `value` if the key is there, else leaves the default. Throws ConfigError on a value of
  /// another type, naming key, value and the expected type.
  template <class T>
  void read(const std::string& key, T& value) {
    known_.insert(key);
    const auto at = table_.find(key);
    if (at == table_.end() || at->is_null()) return;
    try {
      if constexpr (std::is_same_v<T, bool>) {
        if (!at->is_boolean()) throw std::invalid_argument("a boolean");
      } else if constexpr (std::is_integral_v<T>) {
        if (!at->is_number_integer()) throw std::invalid_argument("an integer");
        if (std::is_unsigned_v<T> && *at < 0) throw std::invalid_argument("0 or more");
      } else if constexpr (std::is_floating_point_v<T>) {
        if (!at->is_number()) throw std::invalid_argument("a number");
      } else if constexpr (std::is_same_v<T, std::string>) {
        if (!at->is_string()) throw std::invalid_argument("a string");
      }
      value = at->template get<T>();
    } catch (const nlohmann::json::exception&) {
      wrong_type(key, *at, "another type");
    } catch (const std::invalid_argument& expected) {
      wrong_type(key, *at, expected.what());
    }
  }
  /// A string among `choices`; ConfigError lists them otherwise.
  void read_choice(const std::string& key, std::string& value,
                   const std::vector<std::string>& choices);
  /// A duration such as "3h" in microseconds.
  void read_duration(const std::string& key, int64_t& microseconds);
  /// Marks a key (a subtable read elsewhere) as known and returns it, null if absent.
  const Json& sub(const std::string& key);
  /// Throws ConfigError on the first key that was never read.
  void finish() const;
  /// "recipe key 'train.batch'", for messages.
  std::string name(const std::string& key) const;

 private:
  [[noreturn]] void wrong_type(const std::string& key, const Json& value,
                               const std::string& expected) const;
  Json table_;
  std::string path_;
  std::set<std::string> known_;
};

}  // namespace retort
