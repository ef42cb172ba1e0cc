#include "retort/model/single.h"

namespace retort {

Single::Single(const Schema& schema, const TeacherOptions& options)
    : input_(*this, schema, options.features), spec_(input_.spec("single", options)) {
  spec_.tasks = {RankedTask{"read"}};
  spec_.seconds_cap = 0;
  std::vector<int32_t> tower = options.tower_layers;
  tower.push_back(1);
  expert_ = Mlp(MlpOptions{
      .input = input_.width(), .layers = options.expert_layers, .relu_after_last = true});
  tower_ = Mlp(MlpOptions{.input = options.expert_layers.back(), .layers = tower});
  place_module(*this, "teacher.expert0", expert_.ptr());
  place_module(*this, "teacher.tower_read", tower_.ptr());
}

TaskLogits Single::score(const TensorBatch& batch) {
  return {{"read", tower_->forward(expert_->forward(input_.forward(batch))).squeeze(1)}};
}

std::vector<torch::Tensor> Single::common_weights() { return last_weights({expert_}); }

void Single::initialise(const Rng& init, double embedding_deviation) {
  expert_->initialise(init, "teacher.expert0");
  tower_->initialise(init, "teacher.tower_read");
  initialise_tables(*this, init, embedding_deviation);
}

std::shared_ptr<RankingModel> make_single(const Schema& schema, const Json& teacher,
                                          const Rng& init, CandidateModel*) {
  const TeacherOptions options = TeacherOptions::read(teacher);
  if (options.tasks.declared)
    fail<ConfigError>(
        "recipe key 'teacher.kind': 'single' has one logit, of reads; [tasks] want 'mmoe', "
        "'cgc', 'ple' or 'shared_bottom'");
  auto model = std::make_shared<Single>(schema, options);
  model->initialise(init, options.features.embedding_deviation);
  return model;
}

}  // namespace retort
