#include "retort/nn/dense_layer.h"

#include <string>
#include <utility>
#include <vector>

#include "retort/common/error.h"
#include "retort/common/trace.h"
#include "retort/nn/bf16_view.h"
#include "retort/nn/row_ops.h"

namespace retort {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

bool runs_fused(const torch::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == torch::kBFloat16;
}

/// Plans and switches of stacks through autograd's saved data; their weights and biases are inputs
/// of their own there.
struct StacksHolder : torch::CustomClassHolder {
  struct Layer {
    bool relu, float_output, bias;
    std::shared_ptr<DensePlans> plans;
  };
  std::vector<std::vector<Layer>> stacks;
  int64_t shared_width = 0;
};

/// The part of a stack's first layer that rows share: computed once an owner.
DensePlan& shared_plan(const StacksHolder::Layer& layer, const torch::Tensor& shared, int64_t width,
                       int64_t out) {
  return layer.plans->plan({.rows = shared.size(0),
                            .in = width,
                            .columns = shared.size(1),
                            .out = out,
                            .float_output = layer.float_output});
}

DensePlan& own_plan(const StacksHolder::Layer& layer, const torch::Tensor& x, int64_t in,
                    int64_t out, bool add) {
  return layer.plans->plan({.rows = x.size(0),
                            .in = in,
                            .columns = x.size(1),
                            .out = out,
                            .relu = layer.relu,
                            .add = add,
                            .float_output = layer.float_output});
}

const float* values_or_null(const torch::Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<float>() : nullptr;
}

/// Walks the weights, and the biases that there are, of stacks.
class Parameters {
 public:
  explicit Parameters(at::ArrayRef<torch::Tensor> all) : all_(all) {}
  /// Weight and bias of the layer whose place in all is `at`, which moves on.
  std::pair<torch::Tensor, torch::Tensor> next(const StacksHolder::Layer& layer) {
    const torch::Tensor weight = all_[at_++];
    return {weight, layer.bias ? all_[at_++] : torch::Tensor()};
  }

 private:
  at::ArrayRef<torch::Tensor> all_;
  size_t at_ = 0;
};

/// Inputs: shared [G, .] (or undefined), own [R, .], owner, then all weights and biases.
struct FusedStacks : torch::autograd::Function<FusedStacks> {
  static constexpr size_t kInputs = 3;

  static tensor_list forward(AutogradContext* context,
                             const c10::optional<torch::Tensor>& maybe_shared,
                             const torch::Tensor& own,
                             const c10::optional<torch::Tensor>& maybe_owner,
                             at::TensorList parameters,
                             const c10::intrusive_ptr<StacksHolder>& holder) {
    const torch::Tensor shared = maybe_shared.value_or(torch::Tensor()),
                        owner = maybe_owner.value_or(torch::Tensor());
    tensor_list saved{shared, own, owner}, outputs;
    saved.insert(saved.end(), parameters.begin(), parameters.end());
    Parameters next(parameters);
    for (const auto& stack : holder->stacks) {
      torch::Tensor x = own;
      for (size_t at = 0; at < stack.size(); ++at) {
        const auto [weight, bias] = next.next(stack[at]);
        const bool grouped = at == 0 && shared.defined();
        torch::Tensor y = torch::empty({own.size(0), weight.size(0)},
                                       stack[at].float_output ? torch::kFloat32 : torch::kBFloat16);
        run_layer(stack[at], grouped ? holder->shared_width : 0, shared, owner, x, weight, bias, y);
        saved.push_back(y);
        x = y;
      }
      outputs.push_back(x);
    }
    context->save_for_backward(std::move(saved));
    context->saved_data["stacks"] = c10::IValue::make_capsule(holder);
    return outputs;
  }

  static void run_layer(const StacksHolder::Layer& layer, int64_t shared_width,
                        const torch::Tensor& shared, const torch::Tensor& owner,
                        const torch::Tensor& x, const torch::Tensor& weight,
                        const torch::Tensor& bias, torch::Tensor& y) {
    const int64_t in = weight.size(1), out = weight.size(0);
    const auto* w = weight.data_ptr<float>();
    DenseSummand summand;
    torch::Tensor part;
    if (shared_width > 0) {
      part = torch::empty({shared.size(0), out}, y.options());
      shared_plan(layer, shared, shared_width, out)
          .forward(bits(shared), w, in, nullptr, part.data_ptr());
      summand = {part.data_ptr(), owner.data_ptr<int64_t>()};
    }
    own_plan(layer, x, in - shared_width, out, shared_width > 0)
        .forward(bits(x), w + shared_width, in, values_or_null(bias), y.data_ptr(), summand);
  }

  static tensor_list backward(AutogradContext* context, tensor_list grads) {
    const TraceScope trace("dense layers: other backward");
    const auto capsule = context->saved_data["stacks"].toCapsule();
    const auto& holder = static_cast<const StacksHolder&>(*capsule);
    const auto saved = context->get_saved_variables();
    Backward pass(holder, saved);
    for (size_t stack = 0; stack < grads.size(); ++stack) pass.run(stack, grads[stack]);
    return pass.gradients();
  }

  /// The backward pass of all stacks, one after the other.
  class Backward {
   public:
    Backward(const StacksHolder& holder, const tensor_list& saved)
        : holder_(holder), saved_(saved), shared_(saved[0]), own_(saved[1]), owner_(saved[2]) {
      size_t parameters = 0;
      for (const auto& stack : holder.stacks)
        for (const auto& layer : stack) parameters += layer.bias ? 2 : 1;
      out_.resize(kInputs + parameters + 1);  // and the holder
      parameter_ = kInputs;
      activation_ = kInputs + parameters;
    }

    void run(size_t stack, const torch::Tensor& given) {
      const auto& layers = holder_.stacks[stack];
      std::vector<size_t> places;  // of each layer's weight
      for (const auto& layer : layers) {
        places.push_back(parameter_);
        parameter_ += layer.bias ? 2 : 1;
      }
      const size_t first = std::exchange(activation_, activation_ + layers.size());
      if (!given.defined()) return;
      torch::Tensor dy = given.to(torch::kBFloat16).contiguous();
      for (size_t at = layers.size(); at-- > 0;) {
        torch::Tensor output;
        if (layers[at].relu) output = saved_[first + at].to(torch::kBFloat16);
        if (at > 0)
          dy = hidden(layers[at], places[at], saved_[first + at - 1], dy, output);
        else
          bottom(layers[at], places[at], dy, output);
      }
    }

    tensor_list gradients() { return std::move(out_); }

   private:
    /// Weight, bias and room for their gradients.
    DenseBackward pass_of(const StacksHolder::Layer& layer, size_t place, const torch::Tensor& dy,
                          const torch::Tensor& output) {
      const torch::Tensor& weight = saved_[place];
      out_[place] = torch::empty_like(weight);
      DenseBackward pass{.dy = bits(dy),
                         .output = output.defined() ? bits(output) : nullptr,
                         .weight = weight.data_ptr<float>(),
                         .stride = weight.size(1),
                         .dweight = out_[place].data_ptr<float>()};
      if (layer.bias) {
        out_[place + 1] = torch::empty_like(saved_[place + 1]);
        pass.dbias = out_[place + 1].data_ptr<float>();
      }
      return pass;
    }

    /// A layer that is not the first; returns the gradient of its input.
    torch::Tensor hidden(const StacksHolder::Layer& layer, size_t place, const torch::Tensor& x,
                         const torch::Tensor& dy, const torch::Tensor& output) {
      DenseBackward pass = pass_of(layer, place, dy, output);
      torch::Tensor dx = torch::empty_like(x);
      pass.x = bits(x);
      pass.dx = bits(dx);
      own_plan(layer, x, pass.stride, saved_[place].size(0), false).backward(pass);
      return dx;
    }

    void bottom(const StacksHolder::Layer& layer, size_t place, const torch::Tensor& dy,
                const torch::Tensor& output) {
      const int64_t out = saved_[place].size(0), width = holder_.shared_width;
      DenseBackward pass = pass_of(layer, place, dy, output);
      pass.x = bits(own_);
      pass.weight += width;
      pass.dweight += width;
      want_input(own_, out_[1], pass);
      own_plan(layer, own_, pass.stride - width, out, width > 0).backward(pass);
      if (width == 0) return;
      const torch::Tensor sums = torch::empty({shared_.size(0), out}, torch::kBFloat16);
      sum_groups(bits(dy), pass.output, owner_.data_ptr<int64_t>(), own_.size(0), shared_.size(0),
                 out, bits(sums));
      DenseBackward once{.x = bits(shared_),
                         .dy = bits(sums),
                         .weight = pass.weight - width,
                         .stride = pass.stride,
                         .dweight = pass.dweight - width};
      want_input(shared_, out_[0], once);
      shared_plan(layer, shared_, width, out).backward(once);
    }

    /// Stacks after the first add to what is there.
    static void want_input(const torch::Tensor& x, torch::Tensor& dx, DenseBackward& pass) {
      if (!x.requires_grad()) return;
      pass.add = dx.defined();
      if (!dx.defined()) dx = torch::empty_like(x);
      pass.dx = bits(dx);
    }

    const StacksHolder& holder_;
    const tensor_list& saved_;
    const torch::Tensor &shared_, &own_, &owner_;
    tensor_list out_;
    size_t parameter_ = 0, activation_ = 0;  // of the next stack
  };
};

std::vector<torch::Tensor> stacks_by_ops(const GroupedRows& x,
                                         const std::vector<DenseStack>& stacks) {
  std::vector<torch::Tensor> outputs;
  for (const DenseStack& stack : stacks) {
    torch::Tensor y = dense_layer_by_ops(x, stack.at(0));
    for (size_t at = 1; at < stack.size(); ++at) y = dense_layer_by_ops({.own = y}, stack[at]);
    outputs.push_back(y);
  }
  return outputs;
}

}  // namespace

DensePlan& DensePlans::plan(const DenseShape& shape) {
  constexpr size_t kMost = 16;  // a run has few shapes: whole batches and the last one
  const Key key{shape.rows, shape.in, shape.columns, shape.relu, shape.add};
  const auto at = plans_.find(key);
  if (at != plans_.end()) return *at->second;
  if (plans_.size() >= kMost) plans_.clear();
  return *plans_.emplace(key, std::make_unique<DensePlan>(shape)).first->second;
}

torch::Tensor to_padded_bf16(const torch::Tensor& x) {
  return torch::constant_pad_nd(x.to(torch::kBFloat16), {0, padded_width(x.size(1)) - x.size(1)});
}

std::vector<torch::Tensor> dense_stacks(const GroupedRows& x,
                                        const std::vector<DenseStack>& stacks) {
  if (!runs_fused(x.own)) return stacks_by_ops(x, stacks);
  auto holder = c10::make_intrusive<StacksHolder>();
  holder->shared_width = x.shared_width;
  std::vector<torch::Tensor> parameters;
  for (const DenseStack& stack : stacks) {
    auto& layers = holder->stacks.emplace_back();
    for (const DenseLayer& layer : stack) {
      check(layer.plans != nullptr, "dense layer: bf16 needs plans");
      check(!layer.float_output || &layer == &stack.back(),
            "dense layers: one within a stack gives fp32");
      layers.push_back({layer.relu, layer.float_output, layer.bias.defined(), layer.plans});
      parameters.push_back(layer.weight);
      if (layer.bias.defined()) parameters.push_back(layer.bias);
    }
  }
  const auto maybe = [](const torch::Tensor& tensor) {
    return tensor.defined() ? c10::make_optional(tensor) : c10::nullopt;
  };
  return FusedStacks::apply(maybe(x.shared), x.own, maybe(x.owner), at::TensorList(parameters),
                            holder);
}

torch::Tensor dense_layer(const GroupedRows& x, const DenseLayer& layer) {
  return dense_stacks(x, {{layer}})[0];
}

torch::Tensor dense_layer(const torch::Tensor& x, const DenseLayer& layer) {
  return dense_layer(GroupedRows{.own = x}, layer);
}

torch::Tensor dense_layer_by_ops(const GroupedRows& x, const DenseLayer& layer) {
  const auto type = x.own.scalar_type();
  const int64_t own_width = layer.weight.size(1) - x.shared_width;
  const auto part = [&](int64_t begin, int64_t width) {
    return layer.weight.narrow(1, begin, width).to(type);
  };
  const torch::Tensor bias = layer.bias.defined() ? layer.bias.to(type) : layer.bias;
  torch::Tensor y =
      at::linear(x.own.narrow(1, 0, own_width), part(x.shared_width, own_width), bias);
  if (x.shared.defined())
    y = y + expand_rows(at::linear(x.shared.narrow(1, 0, x.shared_width), part(0, x.shared_width)),
                        x.owner);
  if (layer.relu) y = torch::relu_(y);
  return layer.float_output && type == torch::kBFloat16 ? y.to(torch::kFloat32) : y;
}

}  // namespace retort
