#include "retort/nn/sequence.h"

#include <cmath>

#include "retort/common/error.h"
#include "retort/nn/init.h"
#include "retort/nn/mixed_precision.h"
#include "retort/nn/row_ops.h"

namespace retort {

TransformerBlockImpl::TransformerBlockImpl(int64_t dim, int64_t heads, int64_t hidden)
    : heads_(heads), plans_(4) {
  if (heads <= 0 || dim % heads != 0)
    fail<ConfigError>("transformer: width {} is not a multiple of {} heads", dim, heads);
  auto attention = std::make_shared<torch::nn::Module>("self_attn");
  in_weight_ = attention->register_parameter("in_proj_weight", torch::empty({3 * dim, dim}));
  in_bias_ = attention->register_parameter("in_proj_bias", torch::empty({3 * dim}));
  out_ = attention->register_module("out_proj", torch::nn::Linear(dim, dim));
  register_module("self_attn", attention);
  linear1_ = register_module("linear1", torch::nn::Linear(dim, hidden));
  linear2_ = register_module("linear2", torch::nn::Linear(hidden, dim));
  norm1_ = register_module("norm1", torch::nn::LayerNorm(torch::nn::LayerNormOptions({dim})));
  norm2_ = register_module("norm2", torch::nn::LayerNorm(torch::nn::LayerNormOptions({dim})));
  for (auto& plans : plans_) plans = std::make_shared<DensePlans>();
}

torch::Tensor TransformerBlockImpl::dense(size_t which, const torch::Tensor& x,
                                          const torch::Tensor& weight, const torch::Tensor& bias,
                                          bool relu) {
  const DenseLayer layer{
      .weight = weight, .bias = bias, .relu = relu, .float_output = !relu, .plans = plans_[which]};
  return dense_layer(MixedPrecision::active() ? to_padded_bf16(x) : x, layer);
}

torch::Tensor TransformerBlockImpl::forward(const torch::Tensor& steps, const StepLayout& layout) {
  const torch::Tensor qkv = dense(0, steps, in_weight_, in_bias_, false);
  const torch::Tensor seen =
      dense(1, self_attention(qkv, layout, heads_), out_->weight, out_->bias, false);
  const torch::Tensor x = norm1_(steps + seen);
  const torch::Tensor hidden = dense(2, x, linear1_->weight, linear1_->bias, true);
  return norm2_(x + dense(3, hidden, linear2_->weight, linear2_->bias, false));
}

void TransformerBlockImpl::initialise(const Rng& init, const std::string& name) {
  const torch::NoGradGuard no_grad;
  const auto dim = static_cast<double>(in_weight_.size(1));
  fill_normal(in_weight_.detach(), init, name + ".self_attn.in_proj_weight", std::sqrt(1 / dim));
  in_bias_.zero_();
  retort::initialise(*out_, init, name + ".self_attn.out_proj", Followed::kByNothing);
  retort::initialise(*linear1_, init, name + ".linear1", Followed::kByRelu);
  retort::initialise(*linear2_, init, name + ".linear2", Followed::kByNothing);
}

void TransformerBlockImpl::scale_output(double factor) {
  const torch::NoGradGuard no_grad;
  norm2_->weight.fill_(factor);
}

SequencePoolImpl::SequencePoolImpl(SequenceSpec given, const TableMap& tables)
    : spec(std::move(given)) {
  check(!spec.fields.empty() && spec.fields.size() == spec.sparse_index.size(),
        "sequence '{}': {} fields, {} columns", spec.name, spec.fields.size(),
        spec.sparse_index.size());
  for (const FieldSpec& field : spec.fields) {
    if (field.dim != spec.dim())
      fail<ConfigError>(
          "sequence '{}': its fields are {} and {} wide; they are multiplied and "
          "must be equal",
          spec.name, spec.dim(), field.dim);
    tables_.push_back(tables.at(field.table));
  }
  if (spec.layers == 0) return;
  positions_ = register_parameter("positions", torch::zeros({spec.length, spec.dim()}));
  for (int32_t i = 0; i < spec.layers; ++i)
    blocks_.push_back(register_module("block" + std::to_string(i),
                                      TransformerBlock(spec.dim(), spec.heads, spec.hidden)));
}

const SparseTensor& SequencePoolImpl::column(const SideTensors& side, size_t field) const {
  const auto at = static_cast<size_t>(spec.sparse_index[field]);
  check(at < side.sparse.size(), "sequence '{}': column {} of {}", spec.name, at,
        side.sparse.size());
  return side.sparse[at];
}

torch::Tensor SequencePoolImpl::multiply(const SideTensors& side) {
  const int64_t steps = column(side, 0).ids.size(0);
  torch::Tensor product;
  for (size_t i = 0; i < tables_.size(); ++i) {
    const SparseTensor& ids = column(side, i);
    check(ids.ids.size(0) == steps, "sequence '{}': {} steps beside {}", spec.name, ids.ids.size(0),
          steps);
    const SparseTensor one_each{ids.ids, torch::arange(steps + 1, ids.offsets.options()), true,
                                ids.max_id};
    const torch::Tensor rows = tables_[i]->lookup(one_each, Pooling::kSum);
    product = product.defined() ? product * rows : rows;
  }
  return product;
}

torch::Tensor SequencePoolImpl::forward(const SideTensors& side) {
  const SparseTensor& first = column(side, 0);
  torch::Tensor steps = multiply(side);
  if (steps.size(0) == 0) return torch::zeros({side.rows, spec.dim()}, steps.options());
  const StepLayout layout = make_steps(first, spec.length);
  if (!blocks_.empty()) steps = steps + expand_rows(positions_, layout.position);
  const int64_t count = steps.size(0), spare = spare_rows(count, 1024);
  if (!blocks_.empty() && MixedPrecision::active())
    steps = torch::constant_pad_nd(steps, {0, 0, 0, spare});
  for (TransformerBlock& block : blocks_) steps = block->forward(steps, layout);
  return sum_rows(steps.narrow(0, 0, count), layout.row, side.rows);
}

void SequencePoolImpl::initialise(const Rng& init) {
  const torch::NoGradGuard no_grad;
  if (positions_.defined()) fill_normal(positions_.detach(), init, spec.name + ".positions", 0.02);
  for (size_t i = 0; i < blocks_.size(); ++i)
    blocks_[i]->initialise(init, spec.name + ".block" + std::to_string(i));
  if (!blocks_.empty())
    blocks_.back()->scale_output(1 / std::sqrt(static_cast<double>(spec.length)));
}

}  // namespace retort
