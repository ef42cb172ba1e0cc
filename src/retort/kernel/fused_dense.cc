#include "retort/kernel/fused_dense.h"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <vector>

#include "retort/common/error.h"
#include "retort/kernel/onednn.h"

namespace retort {
namespace {

using Type = dnnl::memory::data_type;
using Layout = dnnl::memory::format_tag;

}  // namespace

/// The three products with their buffers. Blocked weights and their gradients live here; what a
/// product does not need is not made.
struct DensePlan::State {
  explicit State(const DenseShape& shape)
      : shape(shape),
        columns(shape.columns > 0 ? shape.columns : shape.in),
        stream(onednn_engine()) {
    rows_in = {{shape.rows, columns}, Type::bf16, Layout::nc};
    rows_out = {{shape.rows, shape.out}, shape.float_output ? Type::f32 : Type::bf16, Layout::nc};
    gradient_out = {{shape.rows, shape.out}, Type::bf16, Layout::nc};
    weight = {{shape.out, columns}, Type::bf16, Layout::any};
    plain = {{shape.out, columns}, Type::bf16, Layout::oi};
    bias = {{shape.out}, Type::f32, Layout::x};
  }

  void plan_forward(bool with_bias) {
    if (forward.has_value() && (forward_bias == with_bias)) return;
    dnnl::primitive_attr attributes;
    dnnl::post_ops after;
    if (shape.add) after.append_sum(1.0F);
    if (shape.relu) after.append_eltwise(1.0F, dnnl::algorithm::eltwise_relu, 0, 0);
    attributes.set_post_ops(after);
    using Forward = dnnl::inner_product_forward;
    const auto kind = dnnl::prop_kind::forward_training;
    const Forward::desc desc = with_bias ? Forward::desc(kind, rows_in, weight, bias, rows_out)
                                         : Forward::desc(kind, rows_in, weight, rows_out);
    const Forward::primitive_desc planned(desc, attributes, onednn_engine());
    forward.emplace(planned);
    forward_bias = with_bias;
    packed_forward.emplace(planned.weights_desc(), onednn_engine());
  }

  /// Backward products are planned against a forward one without post-operations.
  dnnl::inner_product_forward::primitive_desc hint() const {
    return {{dnnl::prop_kind::forward_training, rows_in, weight, bias, gradient_out},
            onednn_engine()};
  }

  void plan_data() {
    if (data.has_value()) return;
    using Data = dnnl::inner_product_backward_data;
    const Data::primitive_desc planned({rows_in, weight, gradient_out}, onednn_engine(), hint());
    data.emplace(planned);
    packed_data.emplace(planned.weights_desc(), onednn_engine());
  }

  /// dW = dy^T x as a matrix product: quicker in oneDNN than the backward one of a layer, and it
  /// writes rows of any stride.
  void plan_weights(int64_t stride) {
    if (weights.has_value() && weight_stride == stride) return;
    const dnnl::memory::desc left({shape.out, shape.rows}, Type::bf16, Layout::ba);
    const dnnl::memory::desc right({shape.rows, shape.in}, Type::bf16, {columns, 1});
    gradient = {{shape.out, shape.in}, Type::f32, {stride, 1}};
    weights.emplace(dnnl::matmul::primitive_desc({left, right, gradient}, onednn_engine()));
    transposed_out = left;
    used_in = right;
    weight_stride = stride;
  }

  /// Rounds the weight and brings it into the layout a product wants.
  void pack(const float* from, int64_t stride, dnnl::memory& to) {
    rounded_weight.resize(static_cast<size_t>(shape.out * columns));
    to_bf16(from, shape.out, shape.in, stride, rounded_weight.data(), columns);
    dnnl::memory source(plain, onednn_engine(), rounded_weight.data());
    dnnl::reorder(source, to).execute(stream, source, to);
  }

  dnnl::memory view(const dnnl::memory::desc& desc, const void* at) const {
    return {desc, onednn_engine(), const_cast<void*>(at)};
  }

  DenseShape shape;
  int64_t columns;
  dnnl::stream stream;
  dnnl::memory::desc rows_in, rows_out, gradient_out, weight, plain, gradient, transposed_out,
      used_in, bias;
  std::optional<dnnl::inner_product_forward> forward;
  bool forward_bias = false;
  int64_t weight_stride = 0;
  std::optional<dnnl::inner_product_backward_data> data;
  std::optional<dnnl::matmul> weights;
  std::optional<dnnl::memory> packed_forward, packed_data;
  std::vector<Bf16> rounded_weight;
};

DensePlan::DensePlan(const DenseShape& shape) : state_(std::make_unique<State>(shape)) {
  check(shape.rows > 0 && shape.in > 0 && shape.out > 0 &&
            (shape.columns == 0 || shape.columns >= shape.in),
        "dense layer: {} rows, {} inputs, {} outputs", shape.rows, shape.in, shape.out);
}

DensePlan::~DensePlan() = default;

void DensePlan::forward(const Bf16* x, const float* weight, int64_t stride, const float* bias,
                        void* y) {
  State& s = *state_;
  s.plan_forward(bias != nullptr);
  s.pack(weight, stride, *s.packed_forward);
  std::unordered_map<int, dnnl::memory> arguments{{DNNL_ARG_SRC, s.view(s.rows_in, x)},
                                                  {DNNL_ARG_WEIGHTS, *s.packed_forward},
                                                  {DNNL_ARG_DST, s.view(s.rows_out, y)}};
  if (bias != nullptr) arguments.emplace(DNNL_ARG_BIAS, s.view(s.bias, bias));
  s.forward->execute(s.stream, arguments);
  s.stream.wait();
}

void DensePlan::backward_data(const Bf16* dy, const float* weight, int64_t stride, Bf16* dx) {
  State& s = *state_;
  s.plan_data();
  s.pack(weight, stride, *s.packed_data);
  s.data->execute(s.stream, {{DNNL_ARG_DIFF_DST, s.view(s.gradient_out, dy)},
                             {DNNL_ARG_WEIGHTS, *s.packed_data},
                             {DNNL_ARG_DIFF_SRC, s.view(s.rows_in, dx)}});
  s.stream.wait();
}

void DensePlan::backward_weights(const Bf16* x, const Bf16* dy, float* dweight, int64_t stride,
                                 float* dbias) {
  State& s = *state_;
  s.plan_weights(stride);
  s.weights->execute(s.stream, {{DNNL_ARG_SRC, s.view(s.transposed_out, dy)},
                                {DNNL_ARG_WEIGHTS, s.view(s.used_in, x)},
                                {DNNL_ARG_DST, s.view(s.gradient, dweight)}});
  s.stream.wait();
  if (dbias != nullptr) column_sums(dy, s.shape.rows, s.shape.out, dbias);
}

}  // namespace retort
