#include "retort/trainer/snapshot_scale.h"

#include "retort/common/error.h"

namespace retort {

void SnapshotScale::add(const std::string& name) {
  auto scale = std::make_shared<torch::nn::Module>();
  for (const char* parameter : {"a", "b"})
    scale->register_parameter(parameter, torch::zeros(snapshots + 1));
  register_module(name, scale);
}

torch::Tensor SnapshotScale::forward(const std::string& name, const torch::Tensor& s,
                                     const torch::Tensor& snapshot) {
  const auto known = named_children();
  const auto* scale = known.find(name);
  check(scale != nullptr, "snapshot scale: no logit '{}'", name);
  const auto parameters = (*scale)->named_parameters();
  const torch::Tensor row = snapshot + 1;
  return parameters["a"].index_select(0, row).exp() * s + parameters["b"].index_select(0, row);
}

}  // namespace retort
