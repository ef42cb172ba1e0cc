#include "retort/trainer/publish.h"

#include <memory>

#include "retort/common/log.h"
#include "retort/common/text.h"
#include "retort/encoder/tower_encoder.h"
#include "retort/trainer/run_folder.h"
#include "retort/trainer/trained_model.h"
#include "retort/trainer/warm_start.h"

namespace retort {
namespace {

/// Where the rows end that a run on the dataset of this digest learned from; absent where they have
/// no end in time.
std::optional<int64_t> end_of_training(const std::string& digest, const Dataset& dataset) {
  const auto until = trained_until(digest, dataset);
  return until == INT64_MAX ? std::nullopt : until;
}

}  // namespace

PublishResult publish_run(const fs::path& run, const fs::path& bundles,
                          const PublishOptions& options) {
  const Dataset dataset(options.dataset.empty() ? dataset_of_run(run) : options.dataset,
                        /*deep=*/true);
  const TrainedModel model(run, dataset, options.device);
  const FolderInMaking scratch(bundles / "weights");  // never committed
  BundleContents contents;
  contents.model = model.name();
  contents.spec = model.spec();
  if (options.beta) contents.spec.beta = *options.beta;
  if (!options.fusion.empty()) set_shares(contents.spec, options.fusion, "--fusion");
  contents.weights = scratch.path() / "student.safetensors";
  model.save_student(contents.weights);
  contents.dataset = &dataset;
  contents.towers = &model.student();
  std::optional<TowerEncoder> fused;  // the index is judged with the vectors it will be asked for
  if (!options.fusion.empty())
    contents.towers =
        &fused.emplace(contents.spec, std::make_shared<const SafetensorsFile>(contents.weights));
  contents.embeddings = parse_table_storage(options.embeddings);
  contents.index = options.index;
  contents.moment = options.moment;
  const Json info = read_json(RunPaths(run).info);
  contents.trained_until =
      end_of_training(info.at("dataset").at("sha256").get<std::string>(), dataset);
  if (options.moment && contents.trained_until && *options.moment < *contents.trained_until)
    log_warning(
        "publish",
        "the weights were trained on clicks until {}, later than the moment of the features, "
        "{}: no fair test of what happened in between",
        format_moment(*contents.trained_until), format_moment(*options.moment));
  if (options.with_teacher) {
    contents.teacher = model.teacher_spec();
    contents.teacher_weights = scratch.path() / "teacher.safetensors";
    model.save_teacher(contents.teacher_weights);
  }
  contents.recipe = model.recipe();
  contents.provenance = {{"run", info}, {"dataset_digest", dataset_digest(dataset)}};
  return publish_bundle(contents, bundles);
}

}  // namespace retort
