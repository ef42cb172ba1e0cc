#include "retort/encoder/mixture.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "retort/bundle/model_weights.h"
#include "retort/common/error.h"
#include "retort/encoder/softmax.h"
#include "retort/kernel/products.h"

namespace retort {
namespace {

PackedMatrix read_matrix(const SafetensorsFile& weights, const std::string& name, int64_t out,
                         int64_t in) {
  return {weights.floats(name, std::array{out, in}), out, in};
}

}  // namespace

MixtureEncoder::MixtureEncoder(const TowerSpec& tower, const SafetensorsFile& weights)
    : widths_(mixture_fields(tower)) {
  const MixtureSpec& spec = *tower.mixture;
  fields_width_ = std::accumulate(widths_.begin(), widths_.end(), int64_t{0});
  x_width_ = mixture_width(spec, widths_);
  product_dim_ = spec.product_dim;
  expert_width_ = spec.expert_layers.back();
  dim_ = spec.head_layers.back();
  if (product_dim_ > 0)
    for (size_t i = 0; i < widths_.size(); ++i)
      products_.push_back(read_matrix(weights, fmt::format("{}.product{}.weight", tower.name, i),
                                      product_dim_, widths_[i]));
  for (int32_t k = 0; k < spec.experts; ++k)
    experts_.emplace_back(weights, fmt::format("{}.expert{}", tower.name, k), x_width_,
                          spec.expert_layers, true);
  for (const std::string& task : spec.tasks)
    tasks_.push_back({read_matrix(weights, fmt::format("{}.gate_{}.weight", tower.name, task),
                                  spec.experts, x_width_),
                      DenseStack(weights, fmt::format("{}.head_{}", tower.name, task),
                                 expert_width_, spec.head_layers, false)});
}

void MixtureEncoder::encode(std::span<const float> fields, std::span<const float> shares,
                            std::span<float> out) const {
  const int64_t rows = std::ssize(fields) / fields_width_;
  check(std::ssize(fields) == rows * fields_width_ && std::ssize(out) == rows * dim_ &&
            shares.size() == tasks_.size(),
        "mixture: {} values of fields, {} shares, {} of output", fields.size(), shares.size(),
        out.size());
  const std::vector<float> x = with_products(fields, rows);
  std::vector<std::vector<float>> experts;
  for (const DenseStack& expert : experts_) {
    std::vector<float> input = x;
    experts.emplace_back(static_cast<size_t>(rows * expert_width_));
    expert.forward(input, experts.back());
  }
  std::ranges::fill(out, 0.0f);
  std::vector<float> vectors(out.size());
  for (size_t t = 0; t < tasks_.size(); ++t) {
    std::vector<float> input = gated(x, experts, tasks_[t].gate, rows);
    tasks_[t].head.forward(input, vectors);
    for (size_t i = 0; i < out.size(); ++i) out[i] += shares[t] * vectors[i];
  }
}

std::vector<float> MixtureEncoder::with_products(std::span<const float> fields,
                                                 int64_t rows) const {
  std::vector<float> x(static_cast<size_t>(rows * x_width_));
  for (int64_t row = 0; row < rows; ++row)
    std::copy_n(fields.data() + row * fields_width_, fields_width_, x.data() + row * x_width_);
  if (products_.empty()) return x;
  const auto block = static_cast<size_t>(rows * product_dim_);
  std::vector<float> projected(products_.size() * block), field;
  int64_t column = 0;
  for (size_t i = 0; i < products_.size(); ++i) {
    const int64_t width = widths_[i];
    field.resize(static_cast<size_t>(rows * width));
    for (int64_t row = 0; row < rows; ++row)
      std::copy_n(fields.data() + row * fields_width_ + column, width, field.data() + row * width);
    dense_forward(field, products_[i], {}, false, std::span(projected).subspan(i * block, block));
    column += width;
  }
  pair_products(projected, std::ssize(products_), product_dim_,
                std::span(x).subspan(static_cast<size_t>(fields_width_)), x_width_);
  return x;
}

std::vector<float> MixtureEncoder::gated(std::span<const float> x,
                                         const std::vector<std::vector<float>>& experts,
                                         const PackedMatrix& gate, int64_t rows) const {
  const size_t count = experts.size(), width = static_cast<size_t>(expert_width_);
  std::vector<float> shares(static_cast<size_t>(rows) * count);
  dense_forward(x, gate, {}, false, shares);
  std::vector<float> sum(static_cast<size_t>(rows) * width, 0.0f);
  for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
    const auto share = std::span(shares).subspan(row * count, count);
    softmax(share);
    for (size_t k = 0; k < count; ++k)
      for (size_t d = 0; d < width; ++d)
        sum[row * width + d] += share[k] * experts[k][row * width + d];
  }
  return sum;
}

}  // namespace retort
