#include "retort/bundle/model_spec.h"

#include <cmath>

#include "retort/common/error.h"

namespace retort {

int32_t InputSpec::width() const {
  int32_t width = dense_width;
  for (const FieldSpec& field : fields) width += field.dim;
  return width;
}

int32_t TowerSpec::input_width() const {
  int32_t width = input.width();
  for (const SequenceSpec& sequence : sequences) width += sequence.dim();
  return width;
}

int32_t TowerSpec::dim() const {
  if (mixture) return mixture->head_layers.back();
  const int32_t width = layers.empty() ? input_width() : layers.back();
  if (gate && towers.empty()) return width * static_cast<int32_t>(gate->tasks.size());
  if (!gate && !towers.empty()) return width * static_cast<int32_t>(towers.size());
  return width;
}

const std::vector<std::string>& task_names(const ModelSpec& spec) {
  static const std::vector<std::string> none;
  if (spec.user.mixture) return spec.user.mixture->tasks;
  return spec.user.gate ? spec.user.gate->tasks : none;
}

namespace {

/// Throws ConfigError unless somebody may say how the model's tasks are mixed.
void check_mixable(const ModelSpec& spec, const std::string& what) {
  if (spec.user.gate)
    fail<ConfigError>("{}: the model's own gate says of each user how its tasks ({}) are mixed",
                      what, fmt::join(spec.user.gate->tasks, ", "));
  if (!spec.user.mixture)
    fail<ConfigError>("{}: the model has one task, there is nothing to fuse", what);
}

}  // namespace

void check_fusion(const ModelSpec& spec, double fusion, const std::string& what) {
  check_mixable(spec, fmt::format("{} = {}", what, fusion));
  if (spec.user.mixture->tasks.size() != 2)
    fail<ConfigError>("{} = {}: the model has {} tasks ({}); give a share for each", what, fusion,
                      spec.user.mixture->tasks.size(), fmt::join(spec.user.mixture->tasks, ", "));
  if (!(fusion >= 0 && fusion <= 1)) fail<ConfigError>("{} = {}: expected 0 to 1", what, fusion);
}

std::vector<double> task_shares(const ModelSpec& spec) {
  const size_t tasks = spec.user.mixture ? spec.user.mixture->tasks.size() : 1;
  if (tasks == 2) return {spec.fusion, 1 - spec.fusion};
  if (!spec.shares.empty()) return spec.shares;
  return std::vector<double>(tasks, 1.0 / static_cast<double>(tasks));
}

void set_shares(ModelSpec& spec, const std::vector<double>& shares, const std::string& what) {
  if (shares.size() == 1) {
    check_fusion(spec, shares[0], what);
    spec.fusion = shares[0];
    return;
  }
  check_mixable(spec, what);
  const size_t tasks = spec.user.mixture->tasks.size();
  double sum = 0;
  for (const double share : shares) {
    if (!(share >= 0) || !std::isfinite(share))
      fail<ConfigError>("{}: {} is not 0 or more", what, share);
    sum += share;
  }
  if (shares.size() != tasks || sum == 0)
    fail<ConfigError>("{} = {}: a share a task is expected ({}), not all of them 0", what,
                      fmt::join(shares, ", "), fmt::join(spec.user.mixture->tasks, ", "));
  if (tasks == 2)
    spec.fusion = shares[0] / sum;
  else
    spec.shares = shares;
}

InputSpec make_input(const Schema& schema, Side side, const std::string& prefix, int32_t dim,
                     bool share) {
  InputSpec input;
  input.side = side;
  const std::vector<int> sparse = schema.sparse_of(side);
  for (size_t i = 0; i < sparse.size(); ++i) {
    const FeatureSpec& feature = schema.features[static_cast<size_t>(sparse[i])];
    FieldSpec field;
    field.feature = feature.name;
    field.table =
        share && !feature.vocabulary.empty() ? feature.vocabulary : prefix + "." + feature.name;
    field.rows = feature.rows;
    field.dim = dim;
    input.fields.push_back(field);
    input.sparse_index.push_back(static_cast<int>(i));
  }
  input.dense_width = schema.dense_width(side);
  return input;
}

}  // namespace retort
