#include "retort/model/multi_task.h"

#include <set>

#include "retort/common/error.h"
#include "retort/model/multi_task_options.h"
#include "retort/nn/mixed_precision.h"

namespace retort {
namespace {

constexpr double kSideDeviation = 0.05;

}  // namespace

MultiTask::MultiTask(ModelSpec spec) : spec_(std::move(spec)) {
  check(spec_.user.mixture.has_value(), "multi_task: a mixture is needed");
  if (spec_.user.dim() != spec_.item.dim())
    fail<ConfigError>(
        "student: user vectors have {} values (head_layers), item vectors {} (the width of the "
        "item's embeddings, or item_layers)",
        spec_.user.dim(), spec_.item.dim());
  const InputSpec user = all_fields(spec_.user);
  tables_ = make_tables(*this, {&user, &spec_.item.input});
  bottom_ = std::make_unique<UserBottom>(*this, spec_.user, tables_);
  mixture_ =
      std::make_unique<Mixture>(*this, spec_.user.name, bottom_->widths(), *spec_.user.mixture);
  item_input_ = InputLayer(spec_.item.input, tables_);
  if (spec_.item.layers.empty()) return;
  item_ = Mlp(MlpOptions{.input = spec_.item.input.width(), .layers = spec_.item.layers});
  place_module(*this, spec_.item.name, item_.ptr());
}

std::vector<torch::Tensor> MultiTask::encode_user_tasks(const SideTensors& users) {
  return mixture_->forward(bottom_->forward(users));
}

torch::Tensor MultiTask::encode_users(const SideTensors& users) {
  const std::vector<torch::Tensor> tasks = encode_user_tasks(users);
  return mix(tasks, task_shares(spec_));
}

torch::Tensor MultiTask::encode_items(const SideTensors& items) {
  if (!item_.is_empty()) return item_->forward(item_input_.forward(items));
  const MixedPrecision fp32(false);
  return item_input_.forward(items);
}

std::vector<torch::Tensor> MultiTask::common_weights() {
  return item_.is_empty() ? mixture_->common_weights() : last_weights({item_});
}

void MultiTask::set_fusion(double w) {
  check_fusion(spec_, w, "fusion");
  spec_.fusion = w;
}

void MultiTask::set_shares(const std::vector<double>& shares) {
  retort::set_shares(spec_, shares, "shares");
}

void initialise_sequence_tables(torch::nn::Module& module, const TowerSpec& user, const Rng& init,
                                double deviation) {
  initialise_tables(module, init, deviation);
  std::set<std::string> side;
  for (const SequenceSpec& sequence : user.sequences)
    for (size_t i = 1; i < sequence.fields.size(); ++i) side.insert(sequence.fields[i].table);
  const torch::NoGradGuard no_grad;
  for (auto& [name, table] : embedding_tables(module)) {
    if (side.count(name) == 0) continue;
    const torch::Tensor values = torch::empty(table->weight.sizes(), torch::kFloat32);
    fill_normal(values, init, name + ".weight", kSideDeviation);
    table->weight.copy_(values + 1);
  }
}

void MultiTask::initialise(const Rng& init, double embedding_deviation) {
  initialise_sequence_tables(*this, spec_.user, init, embedding_deviation);
  bottom_->initialise(init);
  mixture_->initialise(init);
  if (!item_.is_empty()) item_->initialise(init, spec_.item.name);
}

std::shared_ptr<CandidateModel> make_multi_task(const Schema& schema, const Json& student,
                                                const Rng& init) {
  const MultiTaskOptions options = MultiTaskOptions::read(student);
  auto model = std::make_shared<MultiTask>(multi_task_spec(schema, options));
  model->initialise(init, options.features.embedding_deviation);
  return model;
}

}  // namespace retort
