#include "retort/loss/catalogue_softmax.h"

#include <limits>
#include <vector>

#include "retort/kernel/catalogue_softmax.h"

namespace retort {
namespace {

template <class T>
std::vector<T> values_of(const torch::Tensor& tensor) {
  if (!tensor.defined()) return {};
  const torch::Tensor flat = tensor.to(torch::kInt64).contiguous();
  const int64_t* from = flat.data_ptr<int64_t>();
  return {from, from + flat.numel()};
}

std::span<const float> floats_of(const torch::Tensor& tensor) {
  if (!tensor.defined()) return {};
  return {tensor.data_ptr<float>(), static_cast<size_t>(tensor.numel())};
}

std::span<float> writable(torch::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<size_t>(tensor.numel())};
}

std::vector<uint64_t> bits_of(const torch::Tensor& flags) {
  if (!flags.defined()) return {};
  const torch::Tensor flat = flags.contiguous();
  std::vector<uint64_t> bits(static_cast<size_t>((flat.numel() + 63) / 64));
  for (int64_t i = 0; i < flat.numel(); ++i)
    if (flat.data_ptr<bool>()[i]) bits[static_cast<size_t>(i / 64)] |= uint64_t{1} << (i % 64);
  return bits;
}

/// The kernel's view of the operation, with what the view points to; lives until backward.
struct Operation : torch::CustomClassHolder {
  Operation(const torch::Tensor& users, const torch::Tensor& items, const CatalogueTargets& given,
            Precision precision)
      : kernel(precision),
        users(users.detach().contiguous()),
        items(items.detach().contiguous()),
        given(given),
        targets(values_of<int32_t>(given.targets)),
        row_items(values_of<int32_t>(given.row_items)),
        row_offsets(values_of<int64_t>(given.row_offsets)),
        excluded(bits_of(given.excluded)) {
    input.dim = users.size(1);
    input.users = floats_of(this->users);
    input.items = floats_of(this->items);
    input.targets = targets;
    input.weight = floats_of(given.weight);
    input.reward = floats_of(given.reward);
    input.log_q = floats_of(given.log_q);
    input.excluded = excluded;
    input.row_offsets = row_offsets;
    input.row_items = row_items;
    input.temperature = static_cast<float>(given.temperature);
  }

  CatalogueSoftmax kernel;
  CatalogueSoftmaxState state;
  CatalogueSoftmaxInput input;
  torch::Tensor users, items;
  CatalogueTargets given;
  std::vector<int32_t> targets, row_items;
  std::vector<int64_t> row_offsets;
  std::vector<uint64_t> excluded;
};

struct Softmax : torch::autograd::Function<Softmax> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor&,
                               const torch::Tensor&,
                               const c10::intrusive_ptr<Operation>& operation) {
    torch::Tensor loss = torch::empty({operation->users.size(0)});
    operation->kernel.forward(operation->input, writable(loss), operation->state);
    context->saved_data["operation"] = c10::IValue::make_capsule(operation);
    return loss;
  }

  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* context,
                                               torch::autograd::tensor_list grads) {
    const auto capsule = context->saved_data["operation"].toCapsule();
    auto& operation = static_cast<Operation&>(*capsule);
    torch::Tensor users = torch::empty_like(operation.users),
                  items = torch::empty_like(operation.items);
    const torch::Tensor grad = grads[0].contiguous();
    operation.kernel.backward(operation.input, operation.state, floats_of(grad), writable(users),
                              writable(items));
    return {users, items, torch::Tensor()};
  }
};

}  // namespace

torch::Tensor catalogue_softmax(const torch::Tensor& users, const torch::Tensor& items,
                                const CatalogueTargets& targets, Precision precision) {
  if (!users.is_cpu()) return catalogue_softmax_by_ops(users, items, targets);
  return Softmax::apply(users, items,
                        c10::make_intrusive<Operation>(users, items, targets, precision));
}

torch::Tensor catalogue_softmax_by_ops(const torch::Tensor& users, const torch::Tensor& items,
                                       const CatalogueTargets& given) {
  torch::Tensor logits = users.matmul(items.t()) / given.temperature;
  if (given.log_q.defined()) logits = logits - given.log_q;
  torch::Tensor barred = torch::zeros(logits.sizes(), users.options().dtype(torch::kBool));
  if (given.excluded.defined()) barred = barred | given.excluded;
  if (given.row_offsets.defined()) {
    const torch::Tensor rows = torch::repeat_interleave(
        torch::arange(users.size(0), given.row_offsets.options()), given.row_offsets.diff());
    barred.index_put_({rows, given.row_items}, torch::ones({}, barred.options()));
  }
  const torch::Tensor target = given.targets.unsqueeze(1);
  barred.scatter_(1, target, false);
  const double never = -std::numeric_limits<double>::infinity();
  torch::Tensor loss =
      torch::logsumexp(logits.masked_fill(barred, never), 1) - logits.gather(1, target).squeeze(1);
  if (given.weight.defined()) loss = loss * given.weight;
  if (given.reward.defined()) loss = loss * given.reward;
  return loss;
}

}  // namespace retort
