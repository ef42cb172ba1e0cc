#include "retort/trainer/trained_model.h"

#include <optional>

#include "retort/bundle/safetensors.h"
#include "retort/common/error.h"
#include "retort/common/thread_pool.h"
#include "retort/trainer/checkpoint.h"
#include "retort/trainer/run_folder.h"
#include "retort/trainer/run_models.h"
#include "retort/trainer/torch_info.h"
#include "retort/trainer/torch_towers.h"

namespace retort {

struct TrainedModel::State {
  std::string name;
  Json recipe;
  ModelSpec spec;
  std::shared_ptr<CandidateModel> student;
  std::unique_ptr<TorchTowers> towers;
  std::unique_ptr<TorchPairScorer> teacher;
};

TrainedModel::TrainedModel(const fs::path& run, const Dataset& dataset, const std::string& device)
    : state_(std::make_unique<State>()) {
  set_torch_threads(threads());
  const torch::Device where = parse_device(device);
  RunModels models = load_run_models(run, dataset, where);
  state_->recipe = std::move(models.recipe);
  state_->name = state_->recipe.at("name");
  state_->spec = std::move(models.spec);
  state_->student = models.student;
  state_->towers = std::make_unique<TorchTowers>(state_->student, dataset.schema(), where);
  if (models.teacher != nullptr)
    state_->teacher = std::make_unique<TorchPairScorer>(models.teacher, dataset.schema(), where);
}

TrainedModel::~TrainedModel() = default;
TrainedModel::TrainedModel(TrainedModel&&) noexcept = default;

const std::string& TrainedModel::name() const { return state_->name; }
const Json& TrainedModel::recipe() const { return state_->recipe; }
const ModelSpec& TrainedModel::spec() const { return state_->spec; }
const Towers& TrainedModel::student() const { return *state_->towers; }
void TrainedModel::set_fusion(double w) {
  state_->student->set_fusion(w);
  state_->spec.fusion = w;
}
const PairScorer* TrainedModel::teacher() const { return state_->teacher.get(); }

void TrainedModel::save_student(const fs::path& path) const {
  std::map<std::string, TensorView> views;
  NamedTensors kept;  // the views' bytes live here
  for (const auto& [name, tensor] : named_weights(*state_->student)) {
    const torch::Tensor flat = kept[name] = tensor.cpu().contiguous();
    views[name] = {
        "F32", flat.sizes().vec(), {static_cast<const std::byte*>(flat.data_ptr()), flat.nbytes()}};
  }
  write_safetensors(path, views, {{"format", "pt"}});
}

void keep_fusion(const fs::path& run, double w) {
  const RunPaths paths(run);
  ModelSpec spec = model_spec_from_json(read_json(paths.model));
  check_fusion(spec, w, "tune-fusion");
  spec.fusion = w;
  write_json(paths.model, to_json(spec));
  Json info = read_json(paths.info);
  info["fusion"]["value"] = w;
  write_json(paths.info, info);
}

fs::path dataset_of_run(const fs::path& run) {
  const Json info = read_json(RunPaths(run).info);
  return info.at("dataset").at("path").get<std::string>();
}

}  // namespace retort
