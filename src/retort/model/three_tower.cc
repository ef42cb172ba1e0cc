#include "retort/model/three_tower.h"

#include "retort/bundle/model_weights.h"
#include "retort/common/error.h"

namespace retort {
namespace {

std::vector<Mlp> make_towers(torch::nn::Module& model, const TowerSpec& tower) {
  if (tower.input.width() == 0)
    fail<ConfigError>("student: the {} side has no feature left to see", tower.name);
  std::vector<Mlp> towers;
  for (const std::string& name : stack_names(tower)) {
    towers.emplace_back(MlpOptions{.input = tower.input.width(), .layers = tower.layers});
    place_module(model, name, towers.back().ptr());
  }
  return towers;
}

std::vector<DenseStack> layers_of(const std::vector<Mlp>& towers) {
  std::vector<DenseStack> stacks;
  for (const Mlp& tower : towers) stacks.push_back(tower->dense_layers());
  return stacks;
}

}  // namespace

ThreeTowerOptions ThreeTowerOptions::read(const Json& table) {
  ThreeTowerOptions options;
  Fields fields(under("student", table), "student");
  read_feature_options(fields, options.features);
  read_layers(fields, "user_layers", options.user_layers, false);
  read_layers(fields, "item_layers", options.item_layers, false);
  fields.read_choice("towers", options.towers, {"2u1i", "1u2i"});
  fields.read_choice("gate", options.gate.kind, {"learned", "equal"});
  read_layers(fields, "gate_layers", options.gate.layers, true);
  fields.read("tasks", options.gate.tasks);
  fields.finish();
  check_student_tasks(fields.name("tasks"), options.gate.tasks);
  if (options.user_layers.back() != options.item_layers.back())
    fail<ConfigError>(
        "recipe keys 'student.user_layers' and 'student.item_layers' must end in the "
        "same size, not {} and {}",
        options.user_layers.back(), options.item_layers.back());
  return options;
}

ThreeTower::ThreeTower(ModelSpec spec) : spec_(std::move(spec)) {
  check(spec_.user.gate.has_value(), "three_tower: a gate is needed");
  if (spec_.user.dim() != spec_.item.dim())
    fail<ConfigError>("student: the towers end in {} and {} values", spec_.user.dim(),
                      spec_.item.dim());
  user_ = make_towers(*this, spec_.user);
  item_ = make_towers(*this, spec_.item);
  if (spec_.user.gate->kind == "learned") {
    gate_ =
        Mlp(MlpOptions{.input = spec_.user.input.width(), .layers = gate_layers(*spec_.user.gate)});
    place_module(*this, spec_.user.name + ".gate", gate_.ptr());
  }
  const TableMap tables = make_tables(*this, {&spec_.user.input, &spec_.item.input});
  user_input_ = InputLayer(spec_.user.input, tables);
  item_input_ = InputLayer(spec_.item.input, tables);
}

const std::vector<torch::Tensor>& ThreeTower::user_outputs(const SideTensors& users) {
  std::vector<torch::Tensor>& outputs = (*users.memo)[{this, torch::GradMode::is_enabled()}];
  if (!outputs.empty()) return outputs;
  std::vector<DenseStack> stacks = layers_of(user_);
  if (!gate_.is_empty()) stacks.push_back(gate_->dense_layers());
  outputs = dense_stacks({.own = user_input_.forward(users)}, stacks);
  return outputs;
}

torch::Tensor ThreeTower::preference(const SideTensors& users) {
  const std::vector<torch::Tensor>& outputs = user_outputs(users);
  if (!gate_.is_empty()) return torch::softmax(outputs.back(), 1);
  const auto tasks = static_cast<int64_t>(spec_.user.gate->tasks.size());
  return torch::full({users.rows, tasks}, 1.0 / static_cast<double>(tasks), outputs[0].options());
}

std::vector<torch::Tensor> ThreeTower::encode_user_tasks(const SideTensors& users) {
  const std::vector<torch::Tensor>& outputs = user_outputs(users);
  const size_t tasks = spec_.user.gate->tasks.size();
  std::vector<torch::Tensor> vectors(outputs.begin(),
                                     outputs.begin() + static_cast<int64_t>(user_.size()));
  if (!spec_.user.towers.empty()) return vectors;
  const int64_t width = vectors[0].size(1), rest = spec_.dim() - width;
  const torch::Tensor vector = vectors[0];
  vectors.clear();
  for (int64_t task = 0; task < static_cast<int64_t>(tasks); ++task)
    vectors.push_back(torch::constant_pad_nd(vector, {task * width, rest - task * width}));
  return vectors;
}

torch::Tensor ThreeTower::encode_users(const SideTensors& users) {
  const std::vector<torch::Tensor> vectors = encode_user_tasks(users);
  const torch::Tensor gate = preference(users);
  torch::Tensor sum = gate.narrow(1, 0, 1) * vectors[0];
  for (size_t task = 1; task < vectors.size(); ++task)
    sum = sum + gate.narrow(1, static_cast<int64_t>(task), 1) * vectors[task];
  return sum;
}

torch::Tensor ThreeTower::encode_items(const SideTensors& items) {
  const std::vector<torch::Tensor> vectors =
      dense_stacks({.own = item_input_.forward(items)}, layers_of(item_));
  return vectors.size() == 1 ? vectors[0] : torch::cat(vectors, 1);
}

std::vector<torch::Tensor> ThreeTower::common_weights() {
  return last_weights(spec_.item.towers.empty() ? item_ : user_);
}

void ThreeTower::initialise(const Rng& init, double embedding_deviation) {
  const auto towers = [&](std::vector<Mlp>& modules, const TowerSpec& tower) {
    const std::vector<std::string> names = stack_names(tower);
    for (size_t i = 0; i < modules.size(); ++i) modules[i]->initialise(init, names[i]);
  };
  towers(user_, spec_.user);
  towers(item_, spec_.item);
  if (!gate_.is_empty()) gate_->initialise(init, spec_.user.name + ".gate");
  initialise_tables(*this, init, embedding_deviation);
}

ModelSpec three_tower_spec(const Schema& schema, const ThreeTowerOptions& options) {
  ModelSpec spec;
  spec.kind = "three_tower";
  spec.user = {"user", make_input(schema, Side::kUser, "user", "", options.features),
               options.user_layers};
  spec.item = {"item", make_input(schema, Side::kItem, "item", "", options.features),
               options.item_layers};
  spec.user.gate = options.gate;
  (options.towers == "2u1i" ? spec.user : spec.item).towers = options.gate.tasks;
  return spec;
}

std::shared_ptr<CandidateModel> make_three_tower(const Schema& schema, const Json& student,
                                                 const Rng& init) {
  const ThreeTowerOptions options = ThreeTowerOptions::read(student);
  auto model = std::make_shared<ThreeTower>(three_tower_spec(schema, options));
  model->initialise(init, options.features.embedding_deviation);
  return model;
}

}  // namespace retort
