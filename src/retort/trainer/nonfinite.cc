#include "retort/trainer/nonfinite.h"

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
    const torch::Tensor bad = torch::isfinite(tensor).logical_not();
    if (!bad.any().item<bool>()) continue;
    const size_t slash = name.find('/');
    const int64_t row = tensor.dim() == 0 ? 0 : bad.nonzero()[0][0].item<int64_t>();
    return fmt::format("row {} of the {}'s '{}' is not finite", row, name.substr(0, slash),
                       name.substr(slash + 1));
  }
  return "";
}

}  // namespace retort
