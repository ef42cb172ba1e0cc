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

torch::Tensor TeacherInput::forward(const TensorBatch& batch) {
  std::vector<torch::Tensor> parts;
  if (user_.width() > 0)
    parts.push_back(expand_rows(user_.forward(batch.users), batch.user_of_row));
  if (item_.width() > 0) parts.push_back(item_.forward(batch.items));
  if (pair_.width() > 0) parts.push_back(pair_.forward(batch.pairs));
  return parts.size() == 1 ? parts[0] : torch::cat(parts, 1);
}

}  // namespace retort
