#include "retort/model/shared_bottom.h"

#include "retort/model/task_logits.h"

namespace retort {

SharedBottom::SharedBottom(const Schema& schema, const TeacherOptions& options)
    : input_(*this, schema, options.features), options_(options) {
  bottom_ = Mlp(MlpOptions{
      .input = input_.width(), .layers = options.expert_layers, .relu_after_last = true});
  place_module(*this, "teacher.bottom", bottom_.ptr());
  std::vector<int32_t> layers = options.tower_layers;
  layers.push_back(1);
  for (const Task& task : options_.tasks.tasks) {
    towers_.emplace_back(MlpOptions{.input = options.expert_layers.back(), .layers = layers});
    place_module(*this, "teacher.tower_" + task.name, towers_.back().ptr());
  }
}

TaskLogits SharedBottom::score(const TensorBatch& batch) {
  const torch::Tensor shared = bottom_->forward(input_.forward(batch));
  std::vector<torch::Tensor> heads;
  for (Mlp& tower : towers_) heads.push_back(tower->forward(shared).squeeze(1));
  return forest_logits(options_.tasks, heads);
}

std::vector<std::string> SharedBottom::outputs() const { return output_names(options_.tasks); }

std::vector<torch::Tensor> SharedBottom::common_weights() { return last_weights({bottom_}); }

void SharedBottom::initialise(const Rng& init, double embedding_deviation) {
  bottom_->initialise(init, "teacher.bottom");
  for (size_t i = 0; i < towers_.size(); ++i)
    towers_[i]->initialise(init, "teacher.tower_" + options_.tasks.tasks[i].name);
  initialise_tables(*this, init, embedding_deviation);
}

std::shared_ptr<RankingModel> make_shared_bottom(const Schema& schema, const Json& teacher,
                                                 const Rng& init, CandidateModel*) {
  const TeacherOptions options = TeacherOptions::read(teacher);
  auto model = std::make_shared<SharedBottom>(schema, options);
  model->initialise(init, options.features.embedding_deviation);
  return model;
}

}  // namespace retort
