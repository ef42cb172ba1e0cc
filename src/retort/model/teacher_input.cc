#include "retort/model/teacher_input.h"

#include "retort/common/error.h"

namespace retort {

TeacherInput::TeacherInput(torch::nn::Module& model, const Schema& schema,
                           const FeatureOptions& options) {
  const auto side = [&](Side which) {
    return make_input(schema, which, "teacher", "teacher.", options);
  };
  const InputSpec user = side(Side::kUser), item = side(Side::kItem), pair = side(Side::kPair);
  const TableMap tables = make_tables(model, {&user, &item, &pair});
  user_ = InputLayer(user, tables);
  item_ = InputLayer(item, tables);
  pair_ = InputLayer(pair, tables);
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
