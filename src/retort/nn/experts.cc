#include "retort/nn/experts.h"

#include "retort/common/error.h"
#include "retort/nn/bf16_view.h"

namespace retort {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

std::vector<Bf16*> pointers(at::ArrayRef<torch::Tensor> tensors) {
  std::vector<Bf16*> out;
  for (const torch::Tensor& tensor : tensors) out.push_back(bits(tensor));
  return out;
}

tensor_list empty_like(const torch::Tensor& tensor, int64_t count) {
  tensor_list out;
  for (int64_t i = 0; i < count; ++i) out.push_back(torch::empty_like(tensor));
  return out;
}

GateSizes sizes_of(const torch::Tensor& logits, const torch::Tensor& part, int64_t experts) {
  return {logits.size(0), logits.size(1) / experts, experts, part.size(1)};
}

/// Inputs: logits, then the parts.
struct FusedMixtures : torch::autograd::Function<FusedMixtures> {
  static tensor_list forward(AutogradContext* context, const torch::Tensor& logits,
                             at::TensorList parts) {
    const GateSizes sizes = sizes_of(logits, parts[0], static_cast<int64_t>(parts.size()));
    const torch::Tensor gate = torch::empty_like(logits);
    tensor_list out = empty_like(parts[0], sizes.tasks);
    gated_sums(logits.data_ptr<float>(), pointers(parts).data(), sizes, gate.data_ptr<float>(),
               pointers(out).data());
    tensor_list saved{gate};
    saved.insert(saved.end(), parts.begin(), parts.end());
    context->save_for_backward(std::move(saved));
    return out;
  }

  static tensor_list backward(AutogradContext* context, tensor_list grads) {
    const tensor_list saved = context->get_saved_variables();
    const torch::Tensor& gate = saved[0];
    const GateSizes sizes = sizes_of(gate, saved[1], static_cast<int64_t>(saved.size()) - 1);
    for (torch::Tensor& grad : grads)
      grad = grad.defined() ? grad.contiguous() : torch::zeros_like(saved[1]);
    tensor_list out = empty_like(saved[1], sizes.experts);
    const torch::Tensor dlogits = torch::empty_like(gate);
    gated_sums_backward(gate.data_ptr<float>(), pointers(at::TensorList(saved).slice(1)).data(),
                        pointers(grads).data(), sizes, dlogits.data_ptr<float>(),
                        pointers(out).data());
    out.insert(out.begin(), dlogits);
    return out;
  }
};

}  // namespace

std::vector<torch::Tensor> gated_mixtures(const torch::Tensor& logits,
                                          const std::vector<torch::Tensor>& parts) {
  const torch::Tensor& first = parts.at(0);
  check(logits.size(1) % static_cast<int64_t>(parts.size()) == 0,
        "gated mixtures: {} gates of {} experts", logits.size(1), parts.size());
  if (!first.is_cpu() || first.scalar_type() != torch::kBFloat16)
    return gated_mixtures_by_ops(logits, parts);
  return FusedMixtures::apply(logits.contiguous(), at::TensorList(parts));
}

std::vector<torch::Tensor> gated_mixtures_by_ops(const torch::Tensor& logits,
                                                 const std::vector<torch::Tensor>& parts) {
  const auto experts = static_cast<int64_t>(parts.size());
  std::vector<torch::Tensor> out;
  for (int64_t task = 0; task < logits.size(1) / experts; ++task) {
    const torch::Tensor gate = torch::softmax(logits.narrow(1, task * experts, experts), 1);
    torch::Tensor sum = gate.narrow(1, 0, 1) * parts[0];
    for (int64_t k = 1; k < experts; ++k)
      sum = sum + gate.narrow(1, k, 1) * parts[static_cast<size_t>(k)];
    out.push_back(sum.to(parts[0].scalar_type()));
  }
  return out;
}

std::vector<torch::Tensor> mixed_experts(const GroupedRows& x, const std::vector<Mlp>& experts,
                                         const std::vector<torch::Tensor>& gates,
                                         const std::shared_ptr<DensePlans>& gate_plans) {
  std::vector<DenseStack> stacks;
  for (const Mlp& expert : experts) stacks.push_back(expert->dense_layers());
  // The gates' products are too narrow to be worth one each.
  stacks.push_back({{.weight = torch::cat(gates), .plans = gate_plans}});
  std::vector<torch::Tensor> parts = dense_stacks(x, stacks);
  const torch::Tensor logits = parts.back();
  parts.pop_back();
  return gated_mixtures(logits, parts);
}

}  // namespace retort
