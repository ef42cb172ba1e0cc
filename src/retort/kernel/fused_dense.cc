#include "retort/kernel/fused_dense.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <unordered_map>
#include <vector>

#include "retort/common/error.h"
#include "retort/common/trace.h"
#include "retort/kernel/bf16_product_amx.h"
#include "retort/kernel/onednn.h"

namespace retort {
namespace {

using Type = dnnl::memory::data_type;
using Layout = dnnl::memory::format_tag;

bool has_amx_products() {
#if defined(__x86_64__)
  return product_amx_supported();
#else
  return false;
#endif
}

}  // namespace

/// The three products with their buffers. Blocked weights and their gradients live here; what a
/// product does not need is not made.
struct DensePlan::State {
  State(const DenseShape& shape, Engine engine)
      : shape(shape),
        columns(shape.columns > 0 ? shape.columns : shape.in),
        amx(engine == Engine::kBest && has_amx_products()),
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

  ProductSizes sizes(int64_t stride) const {
    return {shape.rows, shape.in, columns, shape.out, stride};
  }

  void spread(const DenseSummand& summand, void* y) const;
  void backward_data(const Bf16* dy, const DenseBackward& pass);
  void backward_weights(const Bf16* dy, const DenseBackward& pass);

  DenseShape shape;
  int64_t columns;
  bool amx;  // then nothing is planned
  dnnl::stream stream;
  dnnl::memory::desc rows_in, rows_out, gradient_out, weight, plain, gradient, transposed_out,
      used_in, bias;
  std::optional<dnnl::inner_product_forward> forward;
  bool forward_bias = false;
  int64_t weight_stride = 0;
  std::optional<dnnl::inner_product_backward_data> data;
  std::optional<dnnl::matmul> weights;
  std::optional<dnnl::memory> packed_forward, packed_data;
  std::vector<Bf16> rounded_weight, masked, summand;
};

DensePlan::DensePlan(const DenseShape& shape, Engine engine)
    : state_(std::make_unique<State>(shape, engine)) {
  check(shape.rows > 0 && shape.in > 0 && shape.out > 0 &&
            (shape.columns == 0 || shape.columns >= shape.in),
        "dense layer: {} rows, {} inputs, {} outputs", shape.rows, shape.in, shape.out);
}

DensePlan::~DensePlan() = default;

void DensePlan::forward(const Bf16* x, const float* weight, int64_t stride, const float* bias,
                        void* y, const DenseSummand& summand) {
  const TraceScope trace("dense layers: forward");
  State& s = *state_;
  if (s.amx)
    return product_amx_forward(s.sizes(stride),
                               {.bias = bias,
                                .summand = s.shape.add ? summand : DenseSummand{},
                                .relu = s.shape.relu,
                                .float_output = s.shape.float_output},
                               x, weight, y);
  if (s.shape.add) s.spread(summand, y);
  s.plan_forward(bias != nullptr);
  s.pack(weight, stride, *s.packed_forward);
  std::unordered_map<int, dnnl::memory> arguments{{DNNL_ARG_SRC, s.view(s.rows_in, x)},
                                                  {DNNL_ARG_WEIGHTS, *s.packed_forward},
                                                  {DNNL_ARG_DST, s.view(s.rows_out, y)}};
  if (bias != nullptr) arguments.emplace(DNNL_ARG_BIAS, s.view(s.bias, bias));
  s.forward->execute(s.stream, arguments);
  s.stream.wait();
}

void DensePlan::backward(const DenseBackward& pass) {
  State& s = *state_;
  const Bf16* dy = pass.dy;
  if (!s.amx && pass.output != nullptr) {
    const TraceScope trace("dense layers: other backward");
    const int64_t size = s.shape.rows * s.shape.out;
    s.masked.resize(static_cast<size_t>(size));
    relu_backward(pass.output, pass.dy, size, s.masked.data());
    dy = s.masked.data();
  }
  {
    const TraceScope trace("dense layers: gradients of weights");
    if (s.amx)
      product_amx_weights(s.sizes(pass.stride), pass.x, dy, pass.output, pass.dweight, pass.dbias);
    else
      s.backward_weights(dy, pass);
  }
  if (pass.dx == nullptr) return;
  const TraceScope trace("dense layers: gradients of inputs");
  if (s.amx)
    product_amx_data(s.sizes(pass.stride), dy, pass.output, pass.weight, pass.add, pass.dx);
  else
    s.backward_data(dy, pass);
}

/// Each row's summand to its place in y, where oneDNN adds to it.
void DensePlan::State::spread(const DenseSummand& summand, void* y) const {
  const auto bytes =
      shape.out * static_cast<int64_t>(shape.float_output ? sizeof(float) : sizeof(Bf16));
  for (int64_t row = 0; row < shape.rows; ++row)
    std::memcpy(static_cast<char*>(y) + row * bytes,
                static_cast<const char*>(summand.rows) + summand.owner[row] * bytes,
                static_cast<size_t>(bytes));
}

void DensePlan::State::backward_data(const Bf16* dy, const DenseBackward& pass) {
  plan_data();
  pack(pass.weight, pass.stride, *packed_data);
  if (pass.add) summand.assign(pass.dx, pass.dx + shape.rows * columns);
  data->execute(stream, {{DNNL_ARG_DIFF_DST, view(gradient_out, dy)},
                         {DNNL_ARG_WEIGHTS, *packed_data},
                         {DNNL_ARG_DIFF_SRC, view(rows_in, pass.dx)}});
  stream.wait();
  if (pass.add) add_to(summand.data(), std::ssize(summand), pass.dx);
}

void DensePlan::State::backward_weights(const Bf16* dy, const DenseBackward& pass) {
  plan_weights(pass.stride);
  weights->execute(stream, {{DNNL_ARG_SRC, view(transposed_out, dy)},
                            {DNNL_ARG_WEIGHTS, view(used_in, pass.x)},
                            {DNNL_ARG_DST, view(gradient, pass.dweight)}});
  stream.wait();
  if (pass.dbias != nullptr) column_sums(dy, shape.rows, shape.out, pass.dbias);
}

}  // namespace retort
