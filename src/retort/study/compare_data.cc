#include "retort/study/compare_data.h"

#include "retort/common/error.h"
#include "retort/common/log.h"
#include "retort/common/recipe.h"
#include "retort/dataset/builder.h"
#include "retort/sim/simulate.h"
#include "retort/trainer/run_folder.h"

namespace retort {
namespace {

/// Throws ConfigError if what is in `folder` came of other values of the table [world].
void check_world(const fs::path& folder, const Json& made_of, const Json& recipe) {
  const Json asked = recipe.value("world", Json::object());
  for (const auto& [key, value] : asked.items()) {
    if (!made_of.contains(key) || made_of[key] == value) continue;
    fail<ConfigError>(
        "{}: was made with world.{} = {}, and now {} is asked for; compare with the same preset, "
        "or into another folder",
        folder.string(), key, made_of[key].dump(), value.dump());
  }
}

}  // namespace

Json data_recipe(const ComparePlan& plan, const std::string& data,
                 const std::vector<std::string>& sets) {
  const fs::path file = find_recipe(data, "data");
  std::string preset = plan.data_preset;
  if (preset.empty() && has_preset(file, plan.preset)) preset = plan.preset;
  return load_recipe(file, preset, sets);
}

fs::path make_world(const Json& recipe, const fs::path& out) {
  if (!recipe.contains("world")) return {};
  fs::path world = out / "world";
  if (fs::exists(world)) {
    check_world(world, read_json(world / "world.json").at("options"), recipe);
    return world;
  }
  fs::create_directories(out);
  simulate(recipe, {.out = world, .seed = {}});
  return world;
}

fs::path make_dataset(const Json& recipe, const fs::path& from, const fs::path& out) {
  fs::path dataset = out / "dataset";
  if (fs::exists(dataset)) {
    const Json manifest = read_json(dataset / "manifest.json");
    check_world(dataset, manifest["recipe"].value("world", Json::object()), recipe);
    return dataset;
  }
  fs::create_directories(out);
  const IngestResult result = ingest(recipe, {.from = from, .out = dataset, .seed = {}});
  log_info("compare", "{}", describe(result));
  return dataset;
}

}  // namespace retort
