#include "retort/model/mmoe.h"

#include "retort/model/task_logits.h"
#include "retort/nn/experts.h"

namespace retort {
namespace {

Mlp make_tower(const TeacherOptions& options) {
  std::vector<int32_t> layers = options.tower_layers;
  layers.push_back(1);
  return Mlp(MlpOptions{.input = options.expert_layers.back(), .layers = layers});
}

}  // namespace

Mmoe::Mmoe(const Schema& schema, const TeacherOptions& options)
    : input_(*this, schema, options.features), options_(options) {
  for (int32_t k = 0; k < options.experts; ++k) {
    experts_.emplace_back(MlpOptions{
        .input = input_.width(), .layers = options.expert_layers, .relu_after_last = true});
    place_module(*this, "teacher.expert" + std::to_string(k), experts_.back().ptr());
  }
  for (const Task& task : options_.tasks.tasks) {
    gates_.emplace_back(torch::nn::LinearOptions(input_.width(), options.experts).bias(false));
    towers_.push_back(make_tower(options));
    place_module(*this, "teacher.gate_" + task.name, gates_.back().ptr());
    place_module(*this, "teacher.tower_" + task.name, towers_.back().ptr());
  }
}

TaskLogits Mmoe::score(const TensorBatch& batch) {
  std::vector<torch::Tensor> gates, heads;
  for (const torch::nn::Linear& gate : gates_) gates.push_back(gate->weight);
  const std::vector<torch::Tensor> mixed =
      mixed_experts(input_.forward(batch), experts_, gates, gate_plans_);
  for (size_t task = 0; task < towers_.size(); ++task)
    heads.push_back(towers_[task]->forward(mixed[task]).squeeze(1));
  return forest_logits(options_.tasks, heads);
}

std::vector<std::string> Mmoe::outputs() const { return output_names(options_.tasks); }

std::vector<torch::Tensor> Mmoe::common_weights() { return last_weights(experts_); }

void Mmoe::initialise(const Rng& init, double embedding_deviation) {
  for (size_t k = 0; k < experts_.size(); ++k)
    experts_[k]->initialise(init, "teacher.expert" + std::to_string(k));
  for (size_t i = 0; i < towers_.size(); ++i) {
    const std::string& task = options_.tasks.tasks[i].name;
    retort::initialise(*gates_[i], init, "teacher.gate_" + task, Followed::kByNothing);
    towers_[i]->initialise(init, "teacher.tower_" + task);
  }
  initialise_tables(*this, init, embedding_deviation);
}

std::shared_ptr<RankingModel> make_mmoe(const Schema& schema, const Json& teacher, const Rng& init,
                                        CandidateModel*) {
  const TeacherOptions options = TeacherOptions::read(teacher);
  auto model = std::make_shared<Mmoe>(schema, options);
  model->initialise(init, options.features.embedding_deviation);
  return model;
}

}  // namespace retort
