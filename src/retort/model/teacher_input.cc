#include "retort/model/teacher_input.h"

#include "retort/common/error.h"

namespace retort {

TeacherInput::TeacherInput(torch::nn::Module& model, const Schema& schema,
                           const FeatureOptions& options) {
  const auto side = [&](Side which) {
    return make_input(schema, which, "teacher", "teacher.", options);
  };
  user_spec_ = side(Side::kUser);
  item_spec_ = side(Side::kItem);
  pair_spec_ = side(Side::kPair);
  const TableMap tables = make_tables(model, {&user_spec_, &item_spec_, &pair_spec_});
  user_ = InputLayer(user_spec_, tables);
  item_ = InputLayer(item_spec_, tables);
  pair_ = InputLayer(pair_spec_, tables);
  if (width() == 0) fail<ConfigError>("teacher: no feature is left to see");
}

namespace {

/// Whether each row is its own user: nothing is shared.
bool all_apart(const TensorBatch& batch) {
  return batch.users.rows == batch.items.rows &&
         torch::equal(batch.user_of_row,
                      torch::arange(batch.users.rows, batch.user_of_row.options()));
}

}  // namespace

RankerSpec TeacherInput::spec(const char* kind, const TeacherOptions& options) const {
  RankerSpec spec;
  spec.kind = kind;
  spec.user = user_spec_;
  spec.item = item_spec_;
  spec.pair = pair_spec_;
  spec.experts = options.experts;
  spec.shared_experts = options.shared_experts;
  spec.task_experts = options.task_experts;
  spec.levels = options.levels;
  spec.expert_layers = options.expert_layers;
  spec.tower_layers = options.tower_layers;
  for (const Task& task : options.tasks.tasks) spec.tasks.push_back({task.name, task.parent});
  spec.seconds_cap = options.tasks.seconds_cap;
  return spec;
}

GroupedRows TeacherInput::forward(const TensorBatch& batch) {
  std::vector<SideInput> own;
  if (item_.width() > 0) own.push_back({&item_, &batch.items});
  if (pair_.width() > 0) own.push_back({&pair_, &batch.pairs});
  if (user_.width() == 0) return {.own = join_inputs(own)};
  if (own.empty()) return {.own = expand_rows(user_.forward(batch.users), batch.user_of_row)};
  if (!all_apart(batch))
    return {user_.forward(batch.users), join_inputs(own), batch.user_of_row, user_.width()};
  own.insert(own.begin(), {&user_, &batch.users});
  return {.own = join_inputs(own)};
}

}  // namespace retort
