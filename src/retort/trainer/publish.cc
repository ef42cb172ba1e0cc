#include "retort/trainer/publish.h"

#include <memory>

#include "retort/encoder/tower_encoder.h"
#include "retort/trainer/run_folder.h"
#include "retort/trainer/trained_model.h"

namespace retort {

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
  if (options.with_teacher) {
    contents.teacher = model.teacher_spec();
    contents.teacher_weights = scratch.path() / "teacher.safetensors";
    model.save_teacher(contents.teacher_weights);
  }
  contents.recipe = model.recipe();
  contents.provenance = {{"run", read_json(RunPaths(run).info)},
                         {"dataset_digest", dataset_digest(dataset)}};
  return publish_bundle(contents, bundles);
}

}  // namespace retort
