#include "retort/trainer/run_folder.h"

#include <torch/version.h>

#include "retort/common/error.h"
#include "retort/common/thread_pool.h"

namespace retort {

RunPaths::RunPaths(const fs::path& run)
    : recipe(run / "recipe.json"),
      info(run / "run.json"),
      model(run / "model.json"),
      last(run / "checkpoints/last.safetensors"),
      best(run / "checkpoints/best.safetensors"),
      teacher_best(run / "checkpoints/teacher_best.safetensors") {}

std::string dataset_digest(const Dataset& dataset) {
  return sha256_file(dataset.folder() / "manifest.json");
}

Json make_run_info(const Json& recipe, const Dataset& dataset, uint64_t seed,
                   const std::string& device) {
  Json info;
  info["name"] = recipe.at("name");
  info["status"] = "running";
  info["retort"] = RETORT_VERSION;
  info["libtorch"] = TORCH_VERSION;
  info["compiler"] = RETORT_COMPILER;
  info["seed"] = seed;
  info["device"] = device;
  info["threads"] = threads();
  info["dataset"]["path"] = fs::absolute(dataset.folder()).lexically_normal().string();
  info["dataset"]["sha256"] = dataset_digest(dataset);
  return info;
}

void write_json(const fs::path& path, const Json& json) { write_file(path, json.dump(2) + '\n'); }

Json read_json(const fs::path& path) {
  if (!fs::is_regular_file(path))
    fail<DataError>("{}: no such file; is '{}' the folder of a run?", path.string(),
                    path.parent_path().string());
  try {
    return Json::parse(read_file(path));
  } catch (const nlohmann::json::parse_error& error) {
    fail<DataError>("{}: not valid JSON: {}", path.string(), error.what());
  }
}

std::string first_difference(const Json& a, const Json& b, const std::string& prefix) {
  if (a == b) return "";
  if (!a.is_object() || !b.is_object()) return prefix;
  for (const Json* table : {&a, &b})
    for (const auto& [key, value] : table->items()) {
      const std::string name = prefix.empty() ? key : prefix + '.' + key;
      if (!a.contains(key) || !b.contains(key)) return name;
      const std::string inner = first_difference(a[key], b[key], name);
      if (!inner.empty()) return inner;
    }
  return "";  // the same keys in another order
}

void check_same_run(const fs::path& run, const Json& recipe, const Dataset& dataset,
                    uint64_t seed) {
  const RunPaths paths(run);
  const std::string key = first_difference(read_json(paths.recipe), recipe, "");
  if (!key.empty())
    fail<ConfigError>(
        "{}: the run was begun with another recipe: key '{}' differs; resume with the same recipe, "
        "preset and --set, or train into another folder",
        run.string(), key);
  const Json info = read_json(paths.info);
  if (info.at("seed") != seed)
    fail<ConfigError>("{}: the run was begun with --seed {}, not {}", run.string(),
                      info.at("seed").dump(), seed);
  if (info.at("dataset").at("sha256") != dataset_digest(dataset))
    fail<ConfigError>("{}: the run was begun on another dataset than {}", run.string(),
                      dataset.folder().string());
}

}  // namespace retort
