#include "retort/nn/dense_layer.h"

#include <string>
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

torch::Tensor empty_bf16(int64_t rows, int64_t cols) {
  return torch::empty({rows, cols}, torch::kBFloat16);
}

/// A layer's plans and switches through autograd's saved data.
struct LayerHolder : torch::CustomClassHolder {
  explicit LayerHolder(const DenseLayer& layer, int64_t shared_width)
      : relu(layer.relu),
        float_output(layer.float_output),
        shared_width(shared_width),
        plans(layer.plans) {}

  DensePlan& shared_plan(int64_t rows, int64_t columns, int64_t out) const {
    return plans->plan({.rows = rows,
                        .in = shared_width,
                        .columns = columns,
                        .out = out,
                        .float_output = float_output});
  }
  DensePlan& own_plan(int64_t rows, int64_t in, int64_t columns, int64_t out) const {
    return plans->plan({.rows = rows,
                        .in = in,
                        .columns = columns,
                        .out = out,
                        .relu = relu,
                        .add = shared_width > 0,
                        .float_output = float_output});
  }

  bool relu, float_output;
  int64_t shared_width;
  std::shared_ptr<DensePlans> plans;
};

/// The fused layer. Inputs: shared [G, .] (or undefined), own [R, .], owner, weight, bias.
struct FusedLayer : torch::autograd::Function<FusedLayer> {
  static torch::Tensor forward(AutogradContext* context,
                               const c10::optional<torch::Tensor>& maybe_shared,
                               const torch::Tensor& own,
                               const c10::optional<torch::Tensor>& maybe_owner,
                               const torch::Tensor& weight,
                               const c10::optional<torch::Tensor>& maybe_bias,
                               const c10::intrusive_ptr<LayerHolder>& holder) {
    const torch::Tensor shared = maybe_shared.value_or(torch::Tensor()),
                        owner = maybe_owner.value_or(torch::Tensor()),
                        bias = maybe_bias.value_or(torch::Tensor());
    const TraceScope trace("dense layers: forward");
    const LayerHolder& layer = *holder;
    const int64_t rows = own.size(0), out = weight.size(0), in = weight.size(1);
    const auto type = layer.float_output ? torch::kFloat32 : torch::kBFloat16;
    torch::Tensor y;
    if (shared.defined()) {
      torch::Tensor part = torch::empty({shared.size(0), out}, type);
      layer.shared_plan(shared.size(0), shared.size(1), out)
          .forward(bits(shared), weight.data_ptr<float>(), in, nullptr, part.data_ptr());
      y = part.index_select(0, owner);
    } else {
      y = torch::empty({rows, out}, type);
    }
    layer.own_plan(rows, in - layer.shared_width, own.size(1), out)
        .forward(bits(own), weight.data_ptr<float>() + layer.shared_width, in,
                 bias.defined() ? bias.data_ptr<float>() : nullptr, y.data_ptr());
    context->save_for_backward(
        {shared, own, owner, weight, bias, layer.relu ? y : torch::Tensor()});
    context->saved_data["layer"] = c10::IValue::make_capsule(holder);
    return y;
  }

  /// The gradient before the activation, in bf16.
  static torch::Tensor before_activation(const torch::Tensor& y, const torch::Tensor& dy) {
    const torch::Tensor given = dy.to(torch::kBFloat16).contiguous();
    if (!y.defined()) return given;
    const torch::Tensor positive = y.to(torch::kBFloat16);
    torch::Tensor out = torch::empty_like(given);
    relu_backward(bits(positive), bits(given), given.numel(), bits(out));
    return out;
  }

  static tensor_list backward(AutogradContext* context, tensor_list grads) {
    const TraceScope trace("dense layers: other backward");
    const auto capsule = context->saved_data["layer"].toCapsule();
    const auto& layer = static_cast<const LayerHolder&>(*capsule);
    const auto saved = context->get_saved_variables();
    const torch::Tensor &shared = saved[0], &own = saved[1], &owner = saved[2], &weight = saved[3],
                        &bias = saved[4];
    const torch::Tensor dy = before_activation(saved[5], grads[0]);
    const int64_t rows = own.size(0), out = weight.size(0), in = weight.size(1);
    const float* w = weight.data_ptr<float>();
    torch::Tensor dweight = torch::empty_like(weight), dshared, down, dbias;
    if (bias.defined()) dbias = torch::empty_like(bias);

    DensePlan& plan = layer.own_plan(rows, in - layer.shared_width, own.size(1), out);
    const auto weights_of = [&](DensePlan& of, const torch::Tensor& x, const torch::Tensor& d,
                                float* to, float* to_bias) {
      const TraceScope inner("dense layers: gradients of weights");
      of.backward_weights(bits(x), bits(d), to, in, to_bias);
    };
    const auto data_of = [&](DensePlan& of, const torch::Tensor& d, const float* from,
                             const torch::Tensor& like) {
      const TraceScope inner("dense layers: gradients of inputs");
      torch::Tensor to = torch::empty_like(like);
      of.backward_data(bits(d), from, in, bits(to));
      return to;
    };
    weights_of(plan, own, dy, dweight.data_ptr<float>() + layer.shared_width,
               bias.defined() ? dbias.data_ptr<float>() : nullptr);
    if (own.requires_grad()) down = data_of(plan, dy, w + layer.shared_width, own);
    if (shared.defined()) {
      const torch::Tensor sums = empty_bf16(shared.size(0), out);
      sum_groups(bits(dy), owner.data_ptr<int64_t>(), rows, shared.size(0), out, bits(sums));
      DensePlan& once = layer.shared_plan(shared.size(0), shared.size(1), out);
      weights_of(once, shared, sums, dweight.data_ptr<float>(), nullptr);
      if (shared.requires_grad()) dshared = data_of(once, sums, w, shared);
    }
    return {dshared, down, torch::Tensor(), dweight, dbias, torch::Tensor()};
  }
};

/// Inputs: gate, then the parts.
struct FusedMixture : torch::autograd::Function<FusedMixture> {
  static std::vector<Bf16*> pointers(const torch::Tensor* tensors, size_t count) {
    std::vector<Bf16*> out;
    for (size_t k = 0; k < count; ++k) out.push_back(bits(tensors[k]));
    return out;
  }

  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& gate,
                               at::TensorList parts) {
    torch::Tensor out = torch::empty_like(parts[0]);
    const std::vector<Bf16*> from = pointers(parts.data(), parts.size());
    gated_sum(gate.data_ptr<float>(), from.data(), gate.size(0), gate.size(1), out.size(1),
              bits(out));
    tensor_list saved{gate};
    saved.insert(saved.end(), parts.begin(), parts.end());
    context->save_for_backward(std::move(saved));
    return out;
  }

  static tensor_list backward(AutogradContext* context, tensor_list grads) {
    const tensor_list saved = context->get_saved_variables();
    const torch::Tensor& gate = saved[0];
    const torch::Tensor dout = grads[0].contiguous();
    tensor_list out{torch::empty_like(gate)};
    for (size_t k = 1; k < saved.size(); ++k) out.push_back(torch::empty_like(saved[k]));
    const std::vector<Bf16*> from = pointers(saved.data() + 1, saved.size() - 1),
                             to = pointers(out.data() + 1, out.size() - 1);
    gated_sum_backward(gate.data_ptr<float>(), from.data(), bits(dout), gate.size(0), gate.size(1),
                       dout.size(1), out[0].data_ptr<float>(), to.data());
    return out;
  }
};

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

torch::Tensor dense_layer(const GroupedRows& x, const DenseLayer& layer) {
  if (!runs_fused(x.own)) return dense_layer_by_ops(x, layer);
  check(layer.plans != nullptr, "dense layer: bf16 needs plans");
  const auto maybe = [](const torch::Tensor& tensor) {
    return tensor.defined() ? c10::make_optional(tensor) : c10::nullopt;
  };
  return FusedLayer::apply(maybe(x.shared), x.own, maybe(x.owner), layer.weight, maybe(layer.bias),
                           c10::make_intrusive<LayerHolder>(layer, x.shared_width));
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

torch::Tensor gated_mixture(const torch::Tensor& gate, const std::vector<torch::Tensor>& parts) {
  if (!runs_fused(parts.at(0))) return gated_mixture_by_ops(gate, parts);
  return FusedMixture::apply(gate.contiguous(), at::TensorList(parts));
}

torch::Tensor gated_mixture_by_ops(const torch::Tensor& gate,
                                   const std::vector<torch::Tensor>& parts) {
  torch::Tensor sum = gate.narrow(1, 0, 1) * parts.at(0);
  for (size_t k = 1; k < parts.size(); ++k)
    sum = sum + gate.narrow(1, static_cast<int64_t>(k), 1) * parts[k];
  return sum.to(parts[0].scalar_type());
}

}  // namespace retort
