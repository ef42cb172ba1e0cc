#include "retort/study/abtest_recipe.h"

#include <algorithm>

#include "retort/common/error.h"
#include "retort/common/recipe.h"

namespace retort {
namespace {

/// tv = "bundles/x", { bundle = "bundles/x", fusion = 0.4 } or { oracle = "minutes" }.
std::optional<ArmSource> read_source(const Json& value, const std::string& key,
                                     const fs::path& bundles) {
  if (value.is_null()) return std::nullopt;
  ArmSource read;
  std::string path;
  if (value.is_string()) {
    path = value.get<std::string>();
  } else if (value.is_object()) {
    Fields fields(Json{{key, value}}, key);
    fields.read("bundle", path);
    fields.sub("fusion");
    if (fields.has("fusion")) fields.read("fusion", read.fusion.emplace());
    fields.sub("oracle");
    if (fields.has("oracle")) fields.read_choice("oracle", read.oracle, {"click", "minutes"});
    fields.finish();
  }
  if (path.empty() == read.oracle.empty() || (read.fusion && path.empty()))
    fail<ConfigError>(
        "recipe key 'arms.{0}' = {1}: write {0} = \"BUNDLES\", {0} = {{ bundle = \"BUNDLES\", "
        "fusion = 0.5 }} or {0} = {{ oracle = \"minutes\" }}",
        key, value.dump());
  if (read.fusion && !(*read.fusion >= 0 && *read.fusion <= 1))
    fail<ConfigError>("recipe key 'arms.{}.fusion' = {}: expected 0 to 1", key, *read.fusion);
  if (!path.empty()) read.bundle = fs::path(path).is_absolute() ? fs::path(path) : bundles / path;
  return read;
}

AbTestArm read_arm(const Json& entry, const fs::path& bundles) {
  AbTestArm arm;
  Fields fields(Json{{"arms", entry}}, "arms");
  fields.read("name", arm.name);
  for (size_t row = 0; row < arm.rows.size(); ++row) {
    const std::string key(kAbTestRows[row]);
    arm.rows[row] = read_source(fields.sub(key), key, bundles);
  }
  fields.finish();
  return arm;
}

void check_arms(const std::vector<AbTestArm>& arms) {
  if (arms.size() < 2)
    fail<ConfigError>(
        "recipe key 'arms': {} of them; write two or more tables [[arms]], the "
        "control first",
        arms.size());
  for (size_t k = 0; k < arms.size(); ++k) {
    const AbTestArm& arm = arms[k];
    if (arm.name.empty()) fail<ConfigError>("recipe key 'arms.name': arm {} has no name", k + 1);
    for (size_t earlier = 0; earlier < k; ++earlier)
      if (arms[earlier].name == arm.name)
        fail<ConfigError>("recipe key 'arms.name' = '{}': two arms have it", arm.name);
    if (!arm.rows[0] && !arm.rows[1])
      fail<ConfigError>(
          "arm '{}': names no bundle; give it tv = \"BUNDLES\", movies = \"BUNDLES\" "
          "or both",
          arm.name);
    for (size_t row = 0; row < arm.rows.size(); ++row)
      if (arm.rows[row].has_value() != arms.front().rows[row].has_value())
        fail<ConfigError>("arms '{}' and '{}': one has a bundle for '{}' and the other has none",
                          arms.front().name, arm.name, kAbTestRows[row]);
  }
}

ChannelOptions read_channels(const Json& recipe) {
  ChannelOptions options;
  Fields fields(recipe, "channels");
  for (size_t k = 0; k < kChannels; ++k) {
    const std::string key(kChannelNames[k]);
    fields.read(key, options.quota[k]);
    if (options.quota[k] < (k == 0 ? 1 : 0))
      fail<ConfigError>("{} = {}: expected {} or more", fields.name(key), options.quota[k],
                        k == 0 ? 1 : 0);
  }
  fields.read_duration("trailing", options.trailing);
  fields.read("last_played", options.last_played);
  fields.finish();
  if (options.trailing <= 0) fail<ConfigError>("{}: expected more than 0", fields.name("trailing"));
  if (options.last_played < 1)
    fail<ConfigError>("{} = {}: expected 1 or more", fields.name("last_played"),
                      options.last_played);
  return options;
}

std::map<std::string, std::map<std::string, double>> read_published(const Json& recipe) {
  std::map<std::string, std::map<std::string, double>> published;
  Fields sections(recipe, "published");
  for (const char* section : {"tv", "movies", "platform"}) {
    const Json& table = sections.sub(section);
    if (table.is_null()) continue;
    if (!table.is_object())
      fail<ConfigError>("{}: write {{ local_minutes = 0.02 }}", sections.name(section));
    Fields fields(recipe, std::string("published.") + section);
    for (const char* metric :
         {"local_minutes", "dwm", "ctr", "nktd", "exposure_personalised", "platform_minutes"}) {
      double figure = 0;
      fields.read(metric, figure);
      if (fields.has(metric)) published[section][metric] = figure;
    }
    fields.finish();
  }
  sections.finish();
  return published;
}

}  // namespace

bool AbTestRecipe::has_row(ShowType type) const {
  return arms.front().rows[static_cast<size_t>(type)].has_value();
}

AbTestRecipe read_abtest_recipe(const Json& recipe, const fs::path& bundles) {
  AbTestRecipe read;
  Fields fields(recipe, "");
  fields.sub("kind");  // is_feed_test has read it
  fields.read("name", read.name);
  std::string world;
  fields.read("world", world);
  read.world = world;
  if (fields.has("day")) fields.read("day", read.day.emplace());
  fields.read("nktd_at", read.nktd_at);
  const Json& arms = fields.sub("arms");
  for (const char* table : {"channels", "bootstrap", "published"}) fields.sub(table);
  fields.finish();
  if (read.world.empty())
    fail<ConfigError>("recipe key 'world' is missing: name the simulated world, or give --world");
  if (read.nktd_at < 2)
    fail<ConfigError>("recipe key 'nktd_at' = {}: expected 2 or more", read.nktd_at);
  if (!arms.is_null() && !arms.is_array())
    fail<ConfigError>("recipe key 'arms': write tables [[arms]]");
  for (const Json& arm : arms) read.arms.push_back(read_arm(arm, bundles));
  check_arms(read.arms);
  read.channels = read_channels(recipe);
  Fields bootstrap(recipe, "bootstrap");
  bootstrap.read("resamples", read.bootstrap.resamples);
  bootstrap.read("seed", read.bootstrap.seed);
  bootstrap.finish();
  if (read.bootstrap.resamples < 2)
    fail<ConfigError>("recipe key 'bootstrap.resamples' = {}: expected 2 or more",
                      read.bootstrap.resamples);
  read.published = read_published(recipe);
  return read;
}

}  // namespace retort
