#include "retort/nn/mlp.h"

#include "retort/common/error.h"

namespace retort {

MlpImpl::MlpImpl(MlpOptions given) : options(std::move(given)) {
  check(options.input > 0 && !options.layers.empty(), "mlp: {} inputs, {} layers", options.input,
        options.layers.size());
  int64_t width = options.input;
  for (const int32_t out : options.layers) {
    check(out > 0, "mlp: a layer of {} outputs", out);
    layers.push_back(
        register_module("layer" + std::to_string(layers.size()), torch::nn::Linear(width, out)));
    width = out;
  }
}

torch::Tensor MlpImpl::forward(torch::Tensor x) {
  for (size_t i = 0; i < layers.size(); ++i) {
    x = layers[i]->forward(x);
    if (i + 1 < layers.size() || options.relu_after_last) x = torch::relu_(x);
  }
  return x;
}

void MlpImpl::initialise(const Rng& init, const std::string& name) {
  for (size_t i = 0; i < layers.size(); ++i) {
    const bool relu = i + 1 < layers.size() || options.relu_after_last;
    retort::initialise(*layers[i], init, name + ".layer" + std::to_string(i),
                       relu ? Followed::kByRelu : Followed::kByNothing);
  }
}

}  // namespace retort
