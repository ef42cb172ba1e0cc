#include "retort/trainer/nonfinite.h"

#include <algorithm>
#include <cmath>

#include "retort/common/error.h"

namespace retort {
namespace {

std::string nonfinite_dense(const SideBatch& side, const Schema& schema, Side which) {
  const auto width = static_cast<size_t>(schema.dense_width(which));
  for (size_t at = 0; at < side.dense.size(); ++at) {
    if (std::isfinite(side.dense[at])) continue;
    size_t column = at % width;
    for (const int index : schema.dense_of(which)) {
      const FeatureSpec& feature = schema.features[index];
      if (column < static_cast<size_t>(feature.width))
        return fmt::format("feature '{}' is {} in row {} of the batch", feature.name,
                           side.dense[at], at / width);
      column -= static_cast<size_t>(feature.width);
    }
  }
  return "";
}

/// The first row that holds a value that is not finite; -1 if there is none.
int64_t nonfinite_row(const torch::Tensor& tensor) {
  if (tensor.dim() == 0) return torch::isfinite(tensor).item<bool>() ? -1 : 0;
  constexpr int64_t kRows = 1 << 20;  // at once: what it makes on the way stays small
  for (int64_t first = 0; first < tensor.size(0); first += kRows) {
    const torch::Tensor part = tensor.narrow(0, first, std::min(kRows, tensor.size(0) - first));
    const torch::Tensor bad = torch::isfinite(part).logical_not();
    if (bad.any().item<bool>()) return first + bad.nonzero()[0][0].item<int64_t>();
  }
  return -1;
}

}  // namespace

std::string nonfinite_input(const Batch& batch, const Schema& schema) {
  for (const auto& [side, which] :
       {std::pair(&batch.users, Side::kUser), std::pair(&batch.items, Side::kItem),
        std::pair(&batch.pairs, Side::kPair)}) {
    const std::string found = nonfinite_dense(*side, schema, which);
    if (!found.empty()) return found;
  }
  for (size_t row = 0; row < batch.seconds.size(); ++row)
    if (!std::isfinite(batch.seconds[row]))
      return fmt::format("the seconds read are {} in row {} of the batch", batch.seconds[row], row);
  return "";
}

std::string nonfinite_weight(const NamedTensors& weights) {
  for (const auto& [name, tensor] : weights) {
    const int64_t row = nonfinite_row(tensor);
    if (row < 0) continue;
    const size_t slash = name.find('/');
    return fmt::format("row {} of the {}'s '{}' is not finite", row, name.substr(0, slash),
                       name.substr(slash + 1));
  }
  return "";
}

}  // namespace retort
