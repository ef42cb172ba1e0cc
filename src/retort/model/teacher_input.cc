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

/// A side's features and how many of their columns count.
struct Part {
  torch::Tensor values;
  int64_t width = 0;
};

/// The parts' columns side by side; in bf16 the zeros behind their widths go behind the whole.
torch::Tensor side_by_side(const std::vector<Part>& parts) {
  if (parts.size() == 1) return parts[0].values;
  std::vector<torch::Tensor> columns;
  for (const Part& part : parts) columns.push_back(part.values.narrow(1, 0, part.width));
  const bool bf16 = columns[0].scalar_type() == torch::kBFloat16;
  int64_t width = 0;
  for (const Part& part : parts) width += part.width;
  if (bf16 && padded_width(width) > width)
    columns.push_back(
        torch::zeros({columns[0].size(0), padded_width(width) - width}, columns[0].options()));
  return torch::cat(columns, 1);
}

/// Whether each row is its own user: nothing is shared.
bool all_apart(const TensorBatch& batch) {
  return batch.users.rows == batch.items.rows &&
         torch::equal(batch.user_of_row,
                      torch::arange(batch.users.rows, batch.user_of_row.options()));
}

}  // namespace

GroupedRows TeacherInput::forward(const TensorBatch& batch) {
  std::vector<Part> own;
  if (item_.width() > 0) own.push_back({item_.forward(batch.items), item_.width()});
  if (pair_.width() > 0) own.push_back({pair_.forward(batch.pairs), pair_.width()});
  if (user_.width() == 0) return {.own = side_by_side(own)};
  Part users{user_.forward(batch.users), user_.width()};
  if (!own.empty() && !all_apart(batch))
    return {users.values, side_by_side(own), batch.user_of_row, users.width};
  if (own.empty()) users.values = expand_rows(users.values, batch.user_of_row);
  own.insert(own.begin(), users);
  return {.own = side_by_side(own)};
}

}  // namespace retort
