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

GroupedRows TeacherInput::forward(const TensorBatch& batch) {
  std::vector<torch::Tensor> parts;
  if (item_.width() > 0) parts.push_back(item_.forward(batch.items));
  if (pair_.width() > 0) parts.push_back(pair_.forward(batch.pairs));
  if (user_.width() == 0) return {.own = side_by_side(parts)};
  const torch::Tensor users = user_.forward(batch.users);
  if (parts.empty()) return {.own = expand_rows(users, batch.user_of_row)};
  return {users, side_by_side(parts), batch.user_of_row, user_.width()};
}

torch::Tensor TeacherInput::side_by_side(const std::vector<torch::Tensor>& parts) const {
  if (parts.size() == 1) return parts[0];
  if (parts[0].scalar_type() != torch::kBFloat16) return torch::cat(parts, 1);
  // bf16 parts have zeros behind their widths: those go behind the whole.
  const torch::Tensor x =
      torch::cat({parts[0].narrow(1, 0, item_.width()), parts[1].narrow(1, 0, pair_.width())}, 1);
  return torch::constant_pad_nd(x, {0, padded_width(x.size(1)) - x.size(1)}).contiguous();
}

}  // namespace retort
