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
    plans_.push_back(std::make_shared<DensePlans>());
    width = out;
  }
}

DenseStack MlpImpl::dense_layers() const {
  DenseStack stack;
  for (size_t i = 0; i < layers.size(); ++i) {
    const bool last = i + 1 == layers.size();
    stack.push_back({.weight = layers[i]->weight,
                     .bias = layers[i]->bias,
                     .relu = !last || options.relu_after_last,
                     .float_output = last && !options.relu_after_last,
                     .plans = plans_[i]});
  }
  return stack;
}

torch::Tensor MlpImpl::forward(const GroupedRows& x) {
  return dense_stacks(x, {dense_layers()})[0];
}

torch::Tensor MlpImpl::forward(const torch::Tensor& x) { return forward(GroupedRows{.own = x}); }

void MlpImpl::initialise(const Rng& init, const std::string& name) {
  for (size_t i = 0; i < layers.size(); ++i) {
    const bool relu = i + 1 < layers.size() || options.relu_after_last;
    retort::initialise(*layers[i], init, name + ".layer" + std::to_string(i),
                       relu ? Followed::kByRelu : Followed::kByNothing);
  }
}

std::vector<torch::Tensor> last_weights(const std::vector<Mlp>& stacks) {
  std::vector<torch::Tensor> weights;
  for (const Mlp& stack : stacks) weights.push_back(stack->layers.back()->weight);
  return weights;
}

}  // namespace retort
