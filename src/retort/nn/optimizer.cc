#include "retort/nn/optimizer.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "retort/common/error.h"
#include "retort/common/recipe.h"
#include "retort/common/trace.h"
#include "retort/nn/adam.h"
#include "retort/nn/huge_tensor.h"

namespace retort {
namespace {

/// Sum of squares in pieces of a fixed size, so that it does not depend on the threads.
double sum_of_squares(const torch::Tensor& grad) {
  if (!grad.is_cpu() || grad.scalar_type() != torch::kFloat32)
    return grad.to(torch::kFloat64).square().sum().item<double>();
  const torch::Tensor flat = grad.contiguous();
  const float* values = flat.data_ptr<float>();
  double sum = 0;
  for (int64_t i = 0; i < flat.numel(); ++i) sum += static_cast<double>(values[i]) * values[i];
  return sum;
}

void check_field(bool good, const char* field, double value, const char* expected) {
  if (!good)
    fail<ConfigError>("recipe key 'optimizer.{}': {} is expected, not {}", field, expected, value);
}

void load_entry(torch::Tensor live, const std::string& name,
                const std::map<std::string, torch::Tensor>& state) {
  const auto at = state.find(name);
  if (at == state.end()) fail<DataError>("optimizer state: '{}' is missing", name);
  if (at->second.sizes() != live.sizes() || at->second.scalar_type() != live.scalar_type())
    fail<DataError>("optimizer state: '{}' has {} values of type {}, not {} of type {}", name,
                    at->second.numel(), torch::toString(at->second.scalar_type()), live.numel(),
                    torch::toString(live.scalar_type()));
  live.copy_(at->second);
}

}  // namespace

OptimizerOptions OptimizerOptions::read(const Json& table) {
  Json recipe;
  recipe["optimizer"] = table;
  OptimizerOptions options;
  Fields fields(recipe, "optimizer");
  fields.read_choice("kind", options.kind, {"adam"});
  fields.read_choice("embeddings", options.embeddings, {"adam", "adagrad_rowwise"});
  fields.read("learning_rate", options.learning_rate);
  fields.read("embedding_learning_rate", options.embedding_learning_rate);
  fields.read("weight_decay", options.weight_decay);
  fields.read("embedding_weight_decay", options.embedding_weight_decay);
  fields.read("warmup_steps", options.warmup_steps);
  fields.read_choice("decay", options.decay, {"none", "linear", "cosine"});
  fields.read("clip_norm", options.clip_norm);
  fields.read("beta1", options.beta1);
  fields.read("beta2", options.beta2);
  fields.read("epsilon", options.epsilon);
  fields.finish();
  options.validate();
  return options;
}

void OptimizerOptions::validate() const {
  check_field(learning_rate > 0 && std::isfinite(learning_rate), "learning_rate", learning_rate,
              "a number above 0");
  check_field(embedding_learning_rate >= 0 && std::isfinite(embedding_learning_rate),
              "embedding_learning_rate", embedding_learning_rate, "0 or more");
  check_field(weight_decay >= 0, "weight_decay", weight_decay, "0 or more");
  check_field(embedding_weight_decay >= 0, "embedding_weight_decay", embedding_weight_decay,
              "0 or more");
  check_field(warmup_steps >= 0, "warmup_steps", static_cast<double>(warmup_steps), "0 or more");
  check_field(clip_norm >= 0, "clip_norm", clip_norm, "0 or more");
  check_field(beta1 >= 0 && beta1 < 1, "beta1", beta1, "a number in [0, 1)");
  check_field(beta2 >= 0 && beta2 < 1, "beta2", beta2, "a number in [0, 1)");
  check_field(epsilon > 0, "epsilon", epsilon, "a number above 0");
}

double learning_rate_at(const OptimizerOptions& options, int64_t step, int64_t planned_steps) {
  double rate = options.learning_rate;
  if (options.warmup_steps > 0)
    rate *= std::min(1.0, static_cast<double>(step) / static_cast<double>(options.warmup_steps));
  if (options.decay == "none") return rate;
  const auto way = static_cast<double>(std::max<int64_t>(1, planned_steps - options.warmup_steps));
  const double share =
      std::clamp(static_cast<double>(step - 1 - options.warmup_steps) / way, 0.0, 1.0);
  return options.decay == "linear" ? rate * (1 - share)
                                   : rate * 0.5 * (1 + std::cos(std::numbers::pi * share));
}

Optimizer::Optimizer(OptimizerOptions options, torch::nn::Module& module, int64_t planned_steps)
    : options_(std::move(options)),
      planned_steps_(planned_steps),
      step_(torch::zeros({1}, torch::kInt64)),
      schedule_from_(torch::zeros({1}, torch::kInt64)) {
  options_.validate();
  check(options_.decay == "none" || planned_steps > 0,
        "optimizer: decay '{}' needs the number of planned steps", options_.decay);
  for (const auto& item : module.named_parameters())
    dense_.push_back({item.key(), item.value(), torch::zeros_like(item.value()),
                      torch::zeros_like(item.value())});
  for (auto& [name, table] : embedding_tables(module)) {
    const auto zeros = [&](at::IntArrayRef sizes) {
      const bool half = table->weight.scalar_type() == torch::kBFloat16;
      const auto type = half ? torch::kFloat32 : table->weight.scalar_type();
      if (table->weight.is_cpu()) return huge_zeros(sizes, type);
      return torch::zeros(sizes, table->weight.options().dtype(type));
    };
    Table entry{name, table, {}, {}, {}};
    if (options_.embeddings == "adam") {
      entry.m = zeros(table->weight.sizes());
      entry.v = zeros(table->weight.sizes());
    } else {
      entry.sums = zeros(table->weight.size(0));
    }
    tables_.push_back(std::move(entry));
  }
}

double Optimizer::clip_factor() {
  gradient_norm_ = 0;
  if (options_.clip_norm <= 0) return 1;
  double squares = 0;
  for (const Dense& dense : dense_)
    if (dense.value.grad().defined()) squares += sum_of_squares(dense.value.grad());
  gradient_norm_ = std::sqrt(squares);
  return gradient_norm_ > options_.clip_norm ? options_.clip_norm / gradient_norm_ : 1;
}

void Optimizer::step() {
  const torch::NoGradGuard no_grad;
  AdamStep step;
  step.learning_rate = learning_rate();
  const int64_t t = ++step_.data_ptr<int64_t>()[0];
  step.beta1 = options_.beta1;
  step.beta2 = options_.beta2;
  step.epsilon = options_.epsilon;
  step.correction1 = 1 - std::pow(options_.beta1, static_cast<double>(t));
  step.correction2 = 1 - std::pow(options_.beta2, static_cast<double>(t));
  step.scale = clip_factor();
  step_dense(step);
  step.scale = 1;
  step.number = t;
  step.decay = options_.embedding_weight_decay;
  if (options_.embedding_learning_rate > 0)
    step.learning_rate *= options_.embedding_learning_rate / options_.learning_rate;
  step_tables(step);
  zero_grad();
}

void Optimizer::step_dense(AdamStep step) {
  const TraceScope trace("optimizer: dense weights");
  for (Dense& dense : dense_) {
    const torch::Tensor grad = dense.value.grad();
    if (!grad.defined()) continue;
    step.decay = dense.value.dim() > 1 ? options_.weight_decay : 0;
    adam_update(dense.value, grad, dense.m, dense.v, step);
  }
}

void Optimizer::step_tables(const AdamStep& step) {
  const TraceScope trace("optimizer: rows of tables");
  for (Table& entry : tables_) {
    EmbeddingTableImpl& table = *entry.table;
    if (table.pending.empty()) continue;
    const RowGradients rows = merge_rows(table.pending);
    if (entry.sums.defined())
      adagrad_update_rows(table.weight, rows, entry.sums, step);
    else
      adam_update_rows(table.weight, rows, entry.m, entry.v, step);
  }
}

void Optimizer::zero_grad() {
  for (Dense& dense : dense_) dense.value.mutable_grad().reset();
  for (Table& entry : tables_) entry.table->pending.clear();
}

void Optimizer::restart_schedule() { schedule_from_.copy_(step_); }

int64_t Optimizer::steps() const { return step_.data_ptr<int64_t>()[0]; }

double Optimizer::learning_rate() const {
  const int64_t into = steps() - schedule_from_.data_ptr<int64_t>()[0];
  return learning_rate_at(options_, into + 1, planned_steps_);
}

std::map<std::string, torch::Tensor> Optimizer::state() const {
  std::map<std::string, torch::Tensor> state{{"step", step_}, {"schedule_from", schedule_from_}};
  for (const Dense& dense : dense_) {
    state[dense.name + ".m"] = dense.m;
    state[dense.name + ".v"] = dense.v;
  }
  for (const Table& entry : tables_) {
    if (entry.sums.defined()) {
      state[entry.name + ".weight.sums"] = entry.sums;
      continue;
    }
    state[entry.name + ".weight.m"] = entry.m;
    state[entry.name + ".weight.v"] = entry.v;
  }
  return state;
}

void Optimizer::load_state(const std::map<std::string, torch::Tensor>& state) {
  const torch::NoGradGuard no_grad;
  const std::map<std::string, torch::Tensor> live = this->state();
  for (const auto& [name, tensor] : state)
    if (!live.contains(name)) fail<DataError>("optimizer state: '{}' is of no known tensor", name);
  for (const auto& [name, tensor] : live) load_entry(tensor, name, state);
}

}  // namespace retort
