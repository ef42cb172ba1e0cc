#include "retort/trainer/run_models.h"

#include "retort/common/error.h"
#include "retort/trainer/checkpoint.h"
#include "retort/trainer/learner.h"
#include "retort/trainer/run_folder.h"

namespace retort {
namespace {

void check_dataset(const fs::path& run, const Json& info, const Dataset& dataset) {
  if (info.at("dataset").at("sha256") != dataset_digest(dataset))
    fail<DataError>(
        "{}: was trained on another dataset ({}) than {}; open it with its own, or train anew",
        run.string(), info.at("dataset").at("path").get<std::string>(), dataset.folder().string());
}

}  // namespace

RunModels load_run_models(const fs::path& run, const Dataset& dataset, torch::Device device) {
  const RunPaths paths(run);
  check_dataset(run, read_json(paths.info), dataset);
  RunModels models;
  models.recipe = read_json(paths.recipe);
  models.spec = model_spec_from_json(read_json(paths.model));
  Checkpoint checkpoint = load_checkpoint(fs::exists(paths.best) ? paths.best : paths.last);
  models.student = make_candidate_model(models.spec);
  load_weights(*models.student, take_prefix(checkpoint.tensors, kStudentPrefix));
  models.student->to(device);
  models.student->eval();
  const Json table = teacher_table(models.recipe);
  models.teacher = make_ranking_model(dataset.schema(), table, Rng(), models.student.get());
  if (models.teacher == nullptr) return models;
  if (!models.teacher->shares_student() && fs::exists(paths.teacher_best))
    checkpoint = load_checkpoint(paths.teacher_best);
  load_weights(*models.teacher, take_prefix(checkpoint.tensors, kTeacherPrefix));
  models.teacher->to(device);
  models.teacher->eval();
  return models;
}

}  // namespace retort
