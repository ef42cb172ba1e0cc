#include "retort/encoder/mixture.h"

#include <algorithm>
#include <numeric>

#include "retort/bundle/model_weights.h"
#include "retort/common/error.h"
#include "retort/encoder/experts.h"
#include "retort/kernel/products.h"

namespace retort {
MixtureEncoder::MixtureEncoder(const TowerSpec& tower, const SafetensorsFile& weights)
    : MixtureEncoder(tower.name, mixture_fields(tower), *tower.mixture, weights) {}

MixtureEncoder::MixtureEncoder(const std::string& name, std::vector<int32_t> widths,
                               const MixtureSpec& spec, const SafetensorsFile& weights)
    : widths_(std::move(widths)) {
  fields_width_ = std::accumulate(widths_.begin(), widths_.end(), int64_t{0});
  x_width_ = mixture_width(spec, widths_);
  product_dim_ = spec.product_dim;
  expert_width_ = spec.expert_layers.back();
  dim_ = spec.head_layers.back();
  if (product_dim_ > 0)
    for (size_t i = 0; i < widths_.size(); ++i)
      products_.push_back(gate_matrix(weights, fmt::format("{}.product{}.weight", name, i),
                                      product_dim_, widths_[i]));
  for (int32_t k = 0; k < spec.experts; ++k)
    experts_.emplace_back(weights, fmt::format("{}.expert{}", name, k), x_width_,
                          spec.expert_layers, true);
  for (const std::string& task : spec.tasks)
    tasks_.push_back(
        {gate_matrix(weights, fmt::format("{}.gate_{}.weight", name, task), spec.experts, x_width_),
         DenseStack(weights, fmt::format("{}.head_{}", name, task), expert_width_, spec.head_layers,
                    false)});
}

void MixtureEncoder::encode(std::span<const float> fields, std::span<const float> shares,
                            std::span<float> out) const {
  const int64_t rows = std::ssize(fields) / fields_width_;
  check(std::ssize(out) == rows * dim_ && shares.size() == tasks_.size(),
        "mixture: {} rows, {} shares, {} values of output", rows, shares.size(), out.size());
  const std::vector<std::vector<float>> vectors = encode_tasks(fields);
  std::ranges::fill(out, 0.0f);
  for (size_t t = 0; t < tasks_.size(); ++t)
    for (size_t i = 0; i < out.size(); ++i) out[i] += shares[t] * vectors[t][i];
}

std::vector<std::vector<float>> MixtureEncoder::encode_tasks(std::span<const float> fields) const {
  const int64_t rows = std::ssize(fields) / fields_width_;
  check(std::ssize(fields) == rows * fields_width_, "mixture: {} values of fields of width {}",
        fields.size(), fields_width_);
  const std::vector<float> x = with_products(fields, rows);
  std::vector<std::vector<float>> experts;
  std::vector<std::span<const float>> views;
  for (const DenseStack& expert : experts_) {
    std::vector<float> input = x;
    experts.emplace_back(static_cast<size_t>(rows * expert_width_));
    expert.forward(input, experts.back());
  }
  for (const std::vector<float>& expert : experts) views.emplace_back(expert);
  std::vector<std::vector<float>> vectors;
  for (const Task& task : tasks_) {
    std::vector<float> input = gated_sum(x, task.gate, views, rows);
    vectors.emplace_back(static_cast<size_t>(rows * dim_));
    task.head.forward(input, vectors.back());
  }
  return vectors;
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

}  // namespace retort
