#include "retort/encoder/dense_stack.h"

#include <algorithm>
#include <array>
#include <utility>

#include "retort/common/error.h"

namespace retort {

DenseStack::DenseStack(const SafetensorsFile& weights, const std::string& name, int64_t in,
                       std::span<const int32_t> layers, bool relu_after_last)
    : relu_after_last_(relu_after_last) {
  for (size_t i = 0; i < layers.size(); ++i) {
    const int64_t out = layers[i];
    const std::string layer = fmt::format("{}.layer{}", name, i);
    layers_.push_back(
        {PackedMatrix(weights.floats(layer + ".weight", std::array{out, in}), out, in),
         weights.floats(layer + ".bias", std::array{out})});
    in = out;
  }
}

void DenseStack::forward(std::vector<float>& x, std::span<float> out) const {
  if (layers_.empty()) {
    check(x.size() == out.size(), "a stack without layers: {} values in, {} out", x.size(),
          out.size());
    std::ranges::copy(x, out.begin());
    return;
  }
  const size_t rows = x.size() / static_cast<size_t>(layers_.front().weight.cols());
  std::vector<float> next;
  for (size_t i = 0; i + 1 < layers_.size(); ++i) {
    next.resize(rows * static_cast<size_t>(layers_[i].weight.rows()));
    dense_forward(x, layers_[i].weight, layers_[i].bias, true, next);
    std::swap(x, next);
  }
  dense_forward(x, layers_.back().weight, layers_.back().bias, relu_after_last_, out);
}

}  // namespace retort
