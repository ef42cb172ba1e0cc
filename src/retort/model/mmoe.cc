#include "retort/model/mmoe.h"

#include "retort/model/ctcvr.h"
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
    : input_(*this, schema, options.features) {
  for (int32_t k = 0; k < options.experts; ++k) {
    experts_.emplace_back(MlpOptions{
        .input = input_.width(), .layers = options.expert_layers, .relu_after_last = true});
    place_module(*this, "teacher.expert" + std::to_string(k), experts_.back().ptr());
  }
  const auto gate = torch::nn::LinearOptions(input_.width(), options.experts).bias(false);
  gate_click_ = torch::nn::Linear(gate);
  gate_read_ = torch::nn::Linear(gate);
  tower_click_ = make_tower(options);
  tower_read_ = make_tower(options);
  place_module(*this, "teacher.gate_click", gate_click_.ptr());
  place_module(*this, "teacher.gate_read", gate_read_.ptr());
  place_module(*this, "teacher.tower_click", tower_click_.ptr());
  place_module(*this, "teacher.tower_read", tower_read_.ptr());
}

TaskLogits Mmoe::score(const TensorBatch& batch) {
  const std::vector<torch::Tensor> mixed = mixed_experts(
      input_.forward(batch), experts_, {gate_click_->weight, gate_read_->weight}, gate_plans_);
  TaskLogits logits;
  logits.click = tower_click_->forward(mixed[0]).squeeze(1);
  logits.read_given_click = tower_read_->forward(mixed[1]).squeeze(1);
  logits.read = ctcvr_logit(logits.click, logits.read_given_click);
  return logits;
}

void Mmoe::initialise(const Rng& init, double embedding_deviation) {
  for (size_t k = 0; k < experts_.size(); ++k)
    experts_[k]->initialise(init, "teacher.expert" + std::to_string(k));
  retort::initialise(*gate_click_, init, "teacher.gate_click", Followed::kByNothing);
  retort::initialise(*gate_read_, init, "teacher.gate_read", Followed::kByNothing);
  tower_click_->initialise(init, "teacher.tower_click");
  tower_read_->initialise(init, "teacher.tower_read");
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
