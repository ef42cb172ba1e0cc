// Adam for a model: dense parameters as always, embedding tables only in the rows that a step
// touched. Its whole state is a map of named tensors, so that a run resumes bit by bit.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include <torch/torch.h>

#include "retort/common/json.h"
#include "retort/nn/adam.h"
#include "retort/nn/embedding.h"

namespace retort {

/// The recipe's table [optimizer].
struct OptimizerOptions {
  std::string kind = "adam";
  std::string embeddings = "adam";     // of the tables: adam | adagrad_rowwise
  double learning_rate = 1e-3;         // > 0
  double embedding_learning_rate = 0;  // of the tables, >= 0; 0 = learning_rate
  double weight_decay = 0;             // decoupled, on dense weights (not biases), >= 0
  double embedding_weight_decay = 0;   // decoupled, on touched rows, >= 0
  int64_t warmup_steps = 0;            // linear from 0, >= 0
  std::string decay = "none";          // none | linear | cosine, to 0 over the planned steps
  double clip_norm = 0;                // of the dense gradients' global norm; 0 = none
  double beta1 = 0.9, beta2 = 0.999;   // in [0, 1)
  double epsilon = 1e-8;               // > 0

  /// `table` is the value of [optimizer] (null: all defaults). Throws ConfigError.
  static OptimizerOptions read(const Json& table);
  /// Throws ConfigError naming the field and its value.
  void validate() const;
};

/// Learning rate of step number `step` (1, 2, ...): min(1, step / warmup_steps) times the decay
/// at share (step - 1 - warmup) / (planned - warmup), clamped to [0, 1], of its way.
double learning_rate_at(const OptimizerOptions& options, int64_t step, int64_t planned_steps);

/// Adam with bias correction by the number of steps.
///   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
///   w -= lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon),  after w *= 1 - lr *
///   decay
/// Tables: the same on the rows with a pending gradient, rows of equal ids merged first; other
/// rows and their moments stand still (lazy Adam, as torch.optim.SparseAdam: t counts steps, not
/// touches); or, with embeddings = "adagrad_rowwise", one sum of squares a row (adam.h). A table
/// without pending gradients and a parameter without `grad` are left alone.
/// Source: Kingma & Ba, ICLR 2015; Loshchilov & Hutter, ICLR 2019 (decoupled decay).
/// The result does not depend on the number of threads. Not thread-safe.
class Optimizer {
 public:
  /// Optimises every parameter and table below `module`; names in the state are theirs.
  /// `planned_steps` ends the decay; needed (> 0) unless decay = "none". The norm for clipping is
  /// taken over this module alone: one Optimizer a model keeps their trajectories apart.
  Optimizer(OptimizerOptions options, torch::nn::Module& module, int64_t planned_steps = 0);

  /// Applies the gradients of the dense parameters and of the tables' `pending`, and clears both.
  void step();
  /// Drops all gradients without a step.
  void zero_grad();

  /// Warm-up and decay begin with the next step; moments and their correction go on.
  void restart_schedule();

  int64_t steps() const;         // taken so far
  double learning_rate() const;  // of the next step
  double gradient_norm() const {
    return gradient_norm_;
  }  // of the last step, before clipping;
     // 0 unless clip_norm > 0

  /// "step", "schedule_from" (int64, [1]), "<parameter>.m", "<parameter>.v", "<table>.weight.m",
  /// "<table>.weight.v" or "<table>.weight.sums". The tensors are the live ones: write or clone
  /// them before the next step.
  std::map<std::string, torch::Tensor> state() const;
  /// Copies into the live state. Throws DataError naming the entry that is missing, unknown, or of
  /// another shape or type.
  void load_state(const std::map<std::string, torch::Tensor>& state);

 private:
  struct Dense {
    std::string name;
    torch::Tensor value, m, v;
  };
  struct Table {
    std::string name;
    EmbeddingTable table{nullptr};
    torch::Tensor m, v;  // adam: [rows, dim]
    torch::Tensor sums;  // adagrad_rowwise: [rows]
  };
  double clip_factor();
  void step_dense(AdamStep step);
  void step_tables(const AdamStep& step);

  OptimizerOptions options_;
  int64_t planned_steps_;
  torch::Tensor step_;           // [1] int64
  torch::Tensor schedule_from_;  // [1] int64: steps taken when the schedule began
  double gradient_norm_ = 0;
  std::vector<Dense> dense_;
  std::vector<Table> tables_;
};

}  // namespace retort
