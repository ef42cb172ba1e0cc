#include "retort/model/models.h"

#include "retort/common/error.h"

namespace retort {

torch::Tensor CandidateModel::score(const TensorBatch& batch) {
  const torch::Tensor users = encode_users(batch.users);
  const torch::Tensor items = encode_items(batch.items);
  return (expand_rows(users, batch.user_of_row) * items).sum(1);
}

std::vector<torch::Tensor> CandidateModel::encode_user_tasks(const SideTensors& users) {
  return {encode_users(users)};
}

void CandidateModel::set_fusion(double w) { check_fusion(spec(), w, "fusion"); }

void CandidateModel::set_shares(const std::vector<double>& shares) {
  ModelSpec spec = this->spec();
  retort::set_shares(spec, shares, "shares");
}

torch::Tensor mix(const std::vector<torch::Tensor>& vectors, const std::vector<double>& shares) {
  check(!vectors.empty() && vectors.size() == shares.size(), "mix: {} vectors, {} shares",
        vectors.size(), shares.size());
  torch::Tensor sum = shares[0] * vectors[0];
  for (size_t i = 1; i < vectors.size(); ++i) sum = sum + shares[i] * vectors[i];
  return sum;
}

std::map<std::string, torch::Tensor> named_weights(torch::nn::Module& module) {
  std::map<std::string, torch::Tensor> weights;
  for (const auto& item : module.named_parameters()) weights[item.key()] = item.value().detach();
  for (const auto& item : module.named_buffers()) weights[item.key()] = item.value().detach();
  return weights;
}

void load_weights(torch::nn::Module& module, const std::map<std::string, torch::Tensor>& weights) {
  const torch::NoGradGuard no_grad;
  auto live = named_weights(module);
  for (const auto& [name, tensor] : weights)
    if (!live.contains(name)) fail<DataError>("weights: the model has no tensor '{}'", name);
  for (auto& [name, tensor] : live) {
    const auto at = weights.find(name);
    if (at == weights.end()) fail<DataError>("weights: tensor '{}' is missing", name);
    if (at->second.sizes() != tensor.sizes() || at->second.scalar_type() != tensor.scalar_type())
      fail<DataError>("weights: tensor '{}' has {} values of type {}, the model {} of type {}",
                      name, at->second.numel(), torch::toString(at->second.scalar_type()),
                      tensor.numel(), torch::toString(tensor.scalar_type()));
    tensor.copy_(at->second);
  }
}

}  // namespace retort
