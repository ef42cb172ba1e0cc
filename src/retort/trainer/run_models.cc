#include "retort/trainer/run_models.h"

#include "retort/common/error.h"
#include "retort/trainer/checkpoint.h"
#include "retort/trainer/learner.h"
#include "retort/trainer/run_folder.h"
#include "retort/trainer/warm_start.h"

namespace retort {
namespace {

void check_dataset(const fs::path& run, const Json& info, const Dataset& dataset) {
  if (!trained_until(info.at("dataset").at("sha256").get<std::string>(), dataset))
    fail<DataError>(
        "{}: was trained on another dataset ({}) than {}; open it with its own, or train anew",
        run.string(), info.at("dataset").at("path").get<std::string>(), dataset.folder().string());
}

/// Tables have a row for every id of the dataset.
void grow_tables(TowerSpec& tower, const Schema& schema) {
  const auto grow = [&](std::vector<FieldSpec>& fields) {
    for (FieldSpec& field : fields)
      if (const FeatureSpec* feature = schema.find(field.feature)) field.rows = feature->rows;
  };
  grow(tower.input.fields);
  for (SequenceSpec& sequence : tower.sequences) grow(sequence.fields);
}

/// The rows of `weights` that the model lacks room for are none; those that it has beyond them are
/// row 0, the unknown.
void load_grown(torch::nn::Module& model, const NamedTensors& weights, const fs::path& run) {
  NamedTensors unknown;
  for (const auto& [name, tensor] : named_weights(model)) {
    const auto found = weights.find(name);
    const bool grown = found != weights.end() && tensor.dim() > 1 &&
                       found->second.sizes().slice(1) == tensor.sizes().slice(1) &&
                       found->second.size(0) < tensor.size(0);
    unknown[name] = grown ? found->second.narrow(0, 0, 1).expand_as(tensor) : tensor;
  }
  load_weights(model, grow_rows(run, weights, unknown));
}

}  // namespace

RunModels load_run_models(const fs::path& run, const Dataset& dataset, torch::Device device) {
  const RunPaths paths(run);
  check_dataset(run, read_json(paths.info), dataset);
  RunModels models;
  models.recipe = read_json(paths.recipe);
  models.spec = model_spec_from_json(read_json(paths.model));
  models.teacher_checkpoint = fs::exists(paths.best) ? paths.best : paths.last;
  Checkpoint checkpoint = load_checkpoint(models.teacher_checkpoint);
  grow_tables(models.spec.user, dataset.schema());
  grow_tables(models.spec.item, dataset.schema());
  models.student = make_candidate_model(models.spec);
  load_grown(*models.student, take_prefix(checkpoint.tensors, kStudentPrefix), run);
  models.student->to(device);
  models.student->eval();
  const Json table = teacher_table(models.recipe);
  models.teacher = make_ranking_model(dataset.schema(), table, Rng(), models.student.get());
  if (models.teacher == nullptr) return models;
  if (!models.teacher->shares_student() && fs::exists(paths.teacher_best)) {
    models.teacher_checkpoint = paths.teacher_best;
    checkpoint = load_checkpoint(models.teacher_checkpoint);
  }
  models.teacher_step = checkpoint.state.value("step", int64_t{0});
  load_grown(*models.teacher, take_prefix(checkpoint.tensors, kTeacherPrefix), run);
  models.teacher->to(device);
  models.teacher->eval();
  return models;
}

}  // namespace retort
