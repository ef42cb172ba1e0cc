#include "retort/trainer/trained_model.h"

#include <algorithm>

#include "retort/bundle/safetensors.h"
#include "retort/common/error.h"
#include "retort/common/thread_pool.h"
#include "retort/trainer/checkpoint.h"
#include "retort/trainer/run_folder.h"
#include "retort/trainer/run_models.h"
#include "retort/trainer/torch_info.h"
#include "retort/trainer/torch_towers.h"

namespace retort {

namespace {

/// Tables kept in bf16 are written in fp32.
void save_weights_of(const NamedTensors& tensors, const fs::path& path) {
  std::map<std::string, TensorView> views;
  NamedTensors kept;  // the views' bytes live here
  for (const auto& [name, tensor] : tensors) {
    const torch::Tensor flat = kept[name] = tensor.cpu().to(torch::kFloat32).contiguous();
    views[name] = {
        "F32", flat.sizes().vec(), {static_cast<const std::byte*>(flat.data_ptr()), flat.nbytes()}};
  }
  write_safetensors(path, views, {{"format", "pt"}});
}

/// Whether a weight of the student is one of the ranking model as well: a table or of a sequence.
bool is_lent(const RankerSpec& ranker, const std::string& weight) {
  return std::ranges::any_of(table_fields(ranker),
                             [&](const FieldSpec& f) { return f.table + ".weight" == weight; }) ||
         std::ranges::any_of(ranker.sequences, [&](const SequenceSpec& sequence) {
           return weight.starts_with(sequence.name + ".");
         });
}

}  // namespace

struct TrainedModel::State {
  std::string name;
  Json recipe;
  ModelSpec spec;
  std::shared_ptr<CandidateModel> student;
  std::unique_ptr<TorchTowers> towers;
  std::shared_ptr<RankingModel> ranker;
  std::unique_ptr<TorchPairScorer> teacher;

  const RankingModel& ranking_model() const {
    if (ranker == nullptr)
      fail<ConfigError>(
          "{}: the run has no teacher to publish; train a recipe that has a [teacher], such as "
          "dmtl, or publish without --with-teacher",
          name);
    return *ranker;
  }
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
  state_->ranker = models.teacher;
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
  save_weights_of(named_weights(*state_->student), path);
}

RankerSpec TrainedModel::teacher_spec() const { return state_->ranking_model().spec(); }

void TrainedModel::save_teacher(const fs::path& path) const {
  state_->ranking_model();
  NamedTensors weights = named_weights(*state_->ranker);
  if (state_->ranker->shares_student())
    for (const auto& [name, tensor] : named_weights(*state_->student))
      if (is_lent(state_->ranker->spec(), name)) weights.emplace(name, tensor);
  save_weights_of(weights, path);
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
