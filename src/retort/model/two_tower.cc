#include "retort/model/two_tower.h"

#include "retort/common/error.h"

namespace retort {
namespace {

Mlp make_tower(const TowerSpec& tower) {
  if (tower.input.width() == 0)
    fail<ConfigError>("student: the {} side has no feature left to see", tower.name);
  return Mlp(MlpOptions{.input = tower.input.width(), .layers = tower.layers});
}

}  // namespace

TwoTower::TwoTower(ModelSpec spec)
    : spec_(std::move(spec)), user_(make_tower(spec_.user)), item_(make_tower(spec_.item)) {
  if (spec_.user.layers.back() != spec_.item.layers.back())
    fail<ConfigError>("student: the towers end in {} and {} values", spec_.user.layers.back(),
                      spec_.item.layers.back());
  place_module(*this, spec_.user.name, user_.ptr());
  place_module(*this, spec_.item.name, item_.ptr());
  const TableMap tables = make_tables(*this, {&spec_.user.input, &spec_.item.input});
  user_input_ = InputLayer(spec_.user.input, tables);
  item_input_ = InputLayer(spec_.item.input, tables);
}

torch::Tensor TwoTower::encode_users(const SideTensors& users) {
  return user_->forward(user_input_.forward(users));
}

torch::Tensor TwoTower::encode_items(const SideTensors& items) {
  return item_->forward(item_input_.forward(items));
}

std::vector<torch::Tensor> TwoTower::common_weights() { return last_weights({item_}); }

void TwoTower::initialise(const Rng& init, double embedding_deviation) {
  user_->initialise(init, spec_.user.name);
  item_->initialise(init, spec_.item.name);
  initialise_tables(*this, init, embedding_deviation);
}

ModelSpec two_tower_spec(const Schema& schema, const StudentOptions& options) {
  ModelSpec spec;
  spec.user = {"user", make_input(schema, Side::kUser, "user", "", options.features),
               options.user_layers};
  spec.item = {"item", make_input(schema, Side::kItem, "item", "", options.features),
               options.item_layers};
  return spec;
}

std::shared_ptr<CandidateModel> make_two_tower(const Schema& schema, const Json& student,
                                               const Rng& init) {
  const StudentOptions options = StudentOptions::read(student);
  auto model = std::make_shared<TwoTower>(two_tower_spec(schema, options));
  model->initialise(init, options.features.embedding_deviation);
  return model;
}

}  // namespace retort
