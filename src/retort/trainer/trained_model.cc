#include "retort/trainer/trained_model.h"

#include <optional>

#include "retort/bundle/safetensors.h"
#include "retort/common/error.h"
#include "retort/common/thread_pool.h"
#include "retort/trainer/checkpoint.h"
#include "retort/trainer/learner.h"
#include "retort/trainer/run_folder.h"
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

namespace {

void check_dataset(const fs::path& run, const Json& info, const Dataset& dataset) {
  if (info.at("dataset").at("sha256") != dataset_digest(dataset))
    fail<DataError>(
        "{}: was trained on another dataset ({}) than {}; open it with its own, or train anew",
        run.string(), info.at("dataset").at("path").get<std::string>(), dataset.folder().string());
}

}  // namespace

TrainedModel::TrainedModel(const fs::path& run, const Dataset& dataset, const std::string& device)
    : state_(std::make_unique<State>()) {
  set_torch_threads(threads());
  const RunPaths paths(run);
  check_dataset(run, read_json(paths.info), dataset);
  const torch::Device where = parse_device(device);
  state_->recipe = read_json(paths.recipe);
  state_->name = state_->recipe.at("name");
  state_->spec = model_spec_from_json(read_json(paths.model));
  Checkpoint checkpoint = load_checkpoint(fs::exists(paths.best) ? paths.best : paths.last);
  state_->student = make_candidate_model(state_->spec);
  load_weights(*state_->student, take_prefix(checkpoint.tensors, kStudentPrefix));
  state_->student->to(where);
  state_->student->eval();
  state_->towers = std::make_unique<TorchTowers>(state_->student, dataset.schema(), where);

  const Json table = state_->recipe.value("teacher", Json());
  const auto teacher = make_ranking_model(dataset.schema(), table, Rng(), state_->student.get());
  if (teacher == nullptr) return;
  if (!teacher->shares_student() && fs::exists(paths.teacher_best))
    checkpoint = load_checkpoint(paths.teacher_best);
  load_weights(*teacher, take_prefix(checkpoint.tensors, kTeacherPrefix));
  teacher->to(where);
  teacher->eval();
  state_->teacher = std::make_unique<TorchPairScorer>(teacher, dataset.schema(), where);
}

TrainedModel::~TrainedModel() = default;
TrainedModel::TrainedModel(TrainedModel&&) noexcept = default;

const std::string& TrainedModel::name() const { return state_->name; }
const Json& TrainedModel::recipe() const { return state_->recipe; }
const ModelSpec& TrainedModel::spec() const { return state_->spec; }
const Towers& TrainedModel::student() const { return *state_->towers; }
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

fs::path dataset_of_run(const fs::path& run) {
  const Json info = read_json(RunPaths(run).info);
  return info.at("dataset").at("path").get<std::string>();
}

}  // namespace retort
