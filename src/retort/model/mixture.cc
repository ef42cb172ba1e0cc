#include "retort/model/mixture.h"

#include <cmath>
#include <numeric>

#include "retort/common/error.h"
#include "retort/nn/attention.h"
#include "retort/nn/embedding.h"
#include "retort/nn/experts.h"
#include "retort/nn/mixed_precision.h"

namespace retort {
namespace {

/// Glorot's deviation over sqrt(d), so that an inner product of two starts as large as one value of
/// a field.
void initialise_product(torch::nn::LinearImpl& layer, const Rng& init, const std::string& name) {
  retort::initialise(layer, init, name, Followed::kByNothing);
  const torch::NoGradGuard no_grad;
  layer.weight /= std::sqrt(static_cast<double>(layer.weight.size(0)));
}

}  // namespace

Mixture::Mixture(torch::nn::Module& root, std::string prefix, const std::vector<int32_t>& widths,
                 MixtureSpec spec)
    : prefix_(std::move(prefix)), spec_(std::move(spec)) {
  const auto place = [&](const std::string& name, std::shared_ptr<torch::nn::Module> module) {
    place_module(root, prefix_ + '.' + name, std::move(module));
  };
  const auto fields = static_cast<int32_t>(widths.size());
  int32_t width = std::accumulate(widths.begin(), widths.end(), 0);
  if (width == 0) fail<ConfigError>("{}: no feature is left to see", prefix_);
  if (spec_.product_dim > 0) {
    for (int32_t i = 0; i < fields; ++i) {
      products_.emplace_back(
          torch::nn::LinearOptions(widths[static_cast<size_t>(i)], spec_.product_dim).bias(false));
      place("product" + std::to_string(i), products_.back().ptr());
    }
    width += fields * (fields - 1) / 2;
  }
  for (int32_t k = 0; k < spec_.experts; ++k) {
    experts_.emplace_back(
        MlpOptions{.input = width, .layers = spec_.expert_layers, .relu_after_last = true});
    place("expert" + std::to_string(k), experts_.back().ptr());
  }
  for (const std::string& task : spec_.tasks) {
    gates_.emplace_back(torch::nn::LinearOptions(width, spec_.experts).bias(false));
    place("gate_" + task, gates_.back().ptr());
    heads_.emplace_back(
        MlpOptions{.input = spec_.expert_layers.back(), .layers = spec_.head_layers});
    place("head_" + task, heads_.back().ptr());
  }
}

torch::Tensor Mixture::with_products(const std::vector<torch::Tensor>& fields) {
  std::vector<torch::Tensor> parts = fields;
  if (products_.size() > 1) {
    std::vector<torch::Tensor> projected;
    for (size_t i = 0; i < products_.size(); ++i) projected.push_back(products_[i](fields[i]));
    parts.push_back(pair_products(projected));
  }
  return parts.size() == 1 ? parts[0] : torch::cat(parts, 1);
}

std::vector<torch::Tensor> Mixture::forward(const std::vector<torch::Tensor>& fields) {
  torch::Tensor x = with_products(fields);
  const int64_t rows = x.size(0);
  if (MixedPrecision::active())
    x = to_padded_bf16(torch::constant_pad_nd(x, {0, 0, 0, spare_rows(rows, 64)}));
  std::vector<torch::Tensor> gates, outputs;
  for (const torch::nn::Linear& gate : gates_) gates.push_back(gate->weight);
  const std::vector<torch::Tensor> mixed =
      mixed_experts(GroupedRows{.own = x}, experts_, gates, gate_plans_);
  for (size_t task = 0; task < heads_.size(); ++task)
    outputs.push_back(heads_[task]->forward(mixed[task]).narrow(0, 0, rows));
  return outputs;
}

void Mixture::initialise(const Rng& init) {
  for (size_t i = 0; i < products_.size(); ++i)
    initialise_product(*products_[i], init, fmt::format("{}.product{}", prefix_, i));
  for (size_t k = 0; k < experts_.size(); ++k)
    experts_[k]->initialise(init, fmt::format("{}.expert{}", prefix_, k));
  for (size_t task = 0; task < heads_.size(); ++task) {
    const std::string& name = spec_.tasks[task];
    retort::initialise(*gates_[task], init, prefix_ + ".gate_" + name, Followed::kByNothing);
    heads_[task]->initialise(init, prefix_ + ".head_" + name);
  }
}

}  // namespace retort
