#include "retort/encoder/gated_stacks.h"

#include <algorithm>

#include "retort/bundle/model_weights.h"
#include "retort/encoder/softmax.h"

namespace retort {

GatedStacks::GatedStacks(const TowerSpec& tower, const SafetensorsFile& weights)
    : in_(tower.input_width()),
      width_(tower.layers.empty() ? in_ : tower.layers.back()),
      dim_(tower.dim()) {
  for (const std::string& name : stack_names(tower))
    stacks_.emplace_back(weights, name, in_, tower.layers, false);
  if (!tower.gate) return;
  tasks_ = std::ssize(tower.gate->tasks);
  if (tower.gate->kind == "learned")
    gate_.emplace(weights, tower.name + ".gate", in_, gate_layers(*tower.gate), false);
}

void GatedStacks::encode(std::vector<float>& x, std::span<float> out) const {
  if (stacks_.size() == 1 && tasks_ == 0) return stacks_[0].forward(x, out);
  const int64_t rows = std::ssize(x) / in_;
  const std::vector<float> gate = tasks_ > 0 ? shares(x, rows) : std::vector<float>();
  std::vector<float> vectors(static_cast<size_t>(rows * width_));
  std::fill(out.begin(), out.end(), 0.0f);
  const int64_t parts = tasks_ > 0 ? tasks_ : std::ssize(stacks_);
  const bool beside = dim_ != width_;  // side by side, else summed
  for (int64_t part = 0; part < parts; ++part) {
    if (part < std::ssize(stacks_)) {
      std::vector<float> input = x;
      stacks_[static_cast<size_t>(part)].forward(input, vectors);
    }
    for (int64_t row = 0; row < rows; ++row) {
      const float share = gate.empty() ? 1 : gate[static_cast<size_t>(row * parts + part)];
      const float* from = vectors.data() + row * width_;
      float* to = out.data() + row * dim_ + (beside ? part * width_ : 0);
      for (int64_t d = 0; d < width_; ++d) to[d] += share * from[d];
    }
  }
}

/// [rows, tasks]
std::vector<float> GatedStacks::shares(std::vector<float> x, int64_t rows) const {
  const auto tasks = static_cast<size_t>(tasks_);
  std::vector<float> gate(static_cast<size_t>(rows) * tasks, 1.0f / static_cast<float>(tasks_));
  if (!gate_) return gate;
  gate_->forward(x, gate);
  for (size_t row = 0; row < static_cast<size_t>(rows); ++row)
    softmax(std::span(gate).subspan(row * tasks, tasks));
  return gate;
}

}  // namespace retort
