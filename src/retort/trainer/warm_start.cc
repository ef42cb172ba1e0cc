#include "retort/trainer/warm_start.h"

#include "retort/common/error.h"
#include "retort/dataset/columns.h"
#include "retort/trainer/run_folder.h"

namespace retort {
namespace {

void check_architecture(const fs::path& run, const Json& recipe) {
  const Json before = read_json(RunPaths(run).recipe);
  for (const char* table : {"student", "teacher", "tasks"}) {
    const std::string key =
        first_difference(before.value(table, Json()), recipe.value(table, Json()), table);
    if (!key.empty())
      fail<ConfigError>(
          "{}: recipe key '{}' differs from what the run was trained with; a warm start wants the "
          "same models",
          run.string(), key);
  }
}

std::string shape_of(const torch::Tensor& tensor) {
  return fmt::format("[{}]", fmt::join(tensor.sizes(), ", "));
}

torch::Tensor grow(const std::string& name, const torch::Tensor& before, const torch::Tensor& fresh,
                   const fs::path& run) {
  if (before.sizes() == fresh.sizes()) return before;
  const bool rows_differ = before.dim() == fresh.dim() && before.dim() > 0 &&
                           before.sizes().slice(1) == fresh.sizes().slice(1);
  if (!rows_differ)
    fail<DataError>("{}: '{}' is {} there and {} here: not the same model", run.string(), name,
                    shape_of(before), shape_of(fresh));
  if (before.size(0) > fresh.size(0))
    fail<DataError>(
        "{}: '{}' has {} rows there and {} here: a vocabulary has shrunk, which adding days never "
        "does; is this the dataset the run's grew into?",
        run.string(), name, before.size(0), fresh.size(0));
  torch::Tensor whole = fresh.detach().to(torch::kCPU, before.scalar_type()).clone();
  whole.narrow(0, 0, before.size(0)).copy_(before);
  return whole;
}

}  // namespace

std::optional<int64_t> trained_until(const std::string& digest, const Dataset& dataset) {
  const Json& manifest = dataset.manifest();
  if (digest == dataset_digest(dataset)) return manifest.at("split").value("valid_from", INT64_MAX);
  for (const Json& ancestor : manifest.value("lineage", Json::array()))
    if (ancestor.at("sha256") == digest) return ancestor.at("trained_until").get<int64_t>();
  return std::nullopt;
}

std::optional<WarmStart> find_warm_start(const TrainOptions& options, const Json& recipe,
                                         const Dataset& dataset) {
  if (options.resume && fs::exists(options.run)) {
    const Json info = read_json(RunPaths(options.run).info);
    const auto start = info.find("warm_start");
    if (start == info.end()) return std::nullopt;
    return WarmStart{start->at("run").get<std::string>(),
                     start->at("trained_until").get<int64_t>()};
  }
  const fs::path& run = options.warm_start;
  if (run.empty()) return std::nullopt;
  const Json info = read_json(RunPaths(run).info);
  if (info.at("status") != "finished")
    fail<ConfigError>("{}: the run is {}, not finished; finish it with --resume first",
                      run.string(), info.at("status").get<std::string>());
  check_architecture(run, recipe);
  const auto until = trained_until(info.at("dataset").at("sha256").get<std::string>(), dataset);
  if (!until)
    fail<DataError>(
        "{}: was trained on a dataset that {} did not grow from, so that its ids mean something "
        "else; add days to that one (retort ingest --append), or train without --warm-start",
        run.string(), dataset.folder().string());
  return WarmStart{fs::absolute(run), *until};
}

NamedTensors grow_rows(const fs::path& run, const NamedTensors& before, const NamedTensors& fresh) {
  NamedTensors state;
  for (const auto& [name, tensor] : fresh) {
    const auto found = before.find(name);
    if (found == before.end())
      fail<DataError>(
          "{}: has no '{}', which this recipe's training has: another optimizer or loss? Begin "
          "with "
          "the recipe of that run",
          run.string(), name);
    state[name] = grow(name, found->second, tensor, run);
  }
  return state;
}

NamedTensors grown_state(const WarmStart& start, const NamedTensors& fresh) {
  const RunPaths paths(start.run);
  NamedTensors before = load_checkpoint(paths.last).tensors;
  if (fs::exists(paths.best))
    for (auto& [name, tensor] : load_checkpoint(paths.best).tensors) before[name] = tensor;
  return grow_rows(start.run, before, fresh);
}

}  // namespace retort
