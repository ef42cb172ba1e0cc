// Models, losses and optimizers of one recipe, and the step that trains them. The loop around
// it (epochs, validation, checkpoints) is train.cc.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <torch/torch.h>

#include "retort/loss/losses.h"
#include "retort/model/models.h"
#include "retort/nn/optimizer.h"
#include "retort/trainer/catalogue_rows.h"
#include "retort/trainer/checkpoint.h"
#include "retort/trainer/gradient_exchange.h"
#include "retort/trainer/loss_weights.h"
#include "retort/trainer/run_models.h"
#include "retort/trainer/score_source.h"
#include "retort/trainer/snapshot_scale.h"
#include "retort/trainer/streaming_share.h"
#include "retort/trainer/train_recipe.h"

namespace retort {

/// What learns. joint: teacher and student in one backward pass; teacher, student: the two phases
/// of frozen distillation.
enum class Phase { kJoint, kTeacher, kStudent };
std::string_view name_of(Phase phase);

/// Values of a step's or a split's losses: `terms` unweighted, in the recipe's order, 0 for terms
/// that are not of the phase; `total` their weighted sum.
struct LossValues {
  double total = 0;
  std::vector<double> terms;
  std::vector<double> coverage;  // shares of known scores, by Learner::scores()
};

class Learner {
 public:
  /// Weights are drawn from streams of `seed` of their own a model, so that neither model's start
  /// depends on the other's presence. `planned_steps` of one phase ends the decay.
  /// Losses over the whole catalogue and mentors need `dataset`. Throws ConfigError for a mentor
  /// without a ranker.
  Learner(const TrainRecipe& recipe, const Schema& schema, uint64_t seed, torch::Device device,
          int64_t planned_steps, const Dataset* dataset = nullptr);

  /// From now on only the terms of the phase count, and only its models learn; steps are made
  /// together with the ranks where there are several.
  void set_phase(Phase phase, Ranks* ranks = nullptr);
  Phase phase() const { return phase_; }

  /// One step on the batch, which with several ranks is this rank's part of one of `whole_rows`
  /// rows; the losses are those of the whole. Throws Error before any weight changes if a loss is
  /// not finite, naming `step` and what holds the first value that is not.
  LossValues step(const Batch& batch, int64_t step, int64_t whole_rows = 0);
  /// Ctrl-C came, on any rank before the end of its last step: the same answer on all ranks.
  bool asked_to_stop() const;

  /// Losses and logits of a batch without gradients; undefined tensors where there is no teacher.
  struct Scores {
    LossValues losses;
    torch::Tensor student, teacher_click;  // [R]
    torch::Tensor teacher_read;            // [R]; of a teacher without reads its click
    /// Of a declared forest: logits of p(task | shown), and labels in the entire space. [tasks]
    std::vector<torch::Tensor> task_logits, task_labels;
  };
  Scores score(const Batch& batch);

  CandidateModel& student() { return *student_; }
  std::shared_ptr<CandidateModel> shared_student() const { return student_; }
  RankingModel* teacher() { return teacher_.get(); }
  const TaskForest& forest() const { return forest_; }
  torch::Device device() const { return device_; }
  /// What [scores] gives; nullptr without it.
  const ScoreSource* scores() const { return scores_ ? &*scores_ : nullptr; }
  double learning_rate() const;
  /// How much each term counts in the next step beside its weight in the recipe; empty: 1 for ever.
  std::vector<double> loss_weights() const {
    return loss_weights_.adaptive() ? loss_weights_.weights() : std::vector<double>();
  }

  /// Weights alone ("student/..", "teacher/..") and the optimizers' state beside them
  /// ("student_optimizer/..").
  NamedTensors weights() const;
  NamedTensors full_state() const;
  void load_full_state(const NamedTensors& tensors);
  /// The same of another run's state: learning rates start anew.
  void begin_from(const NamedTensors& tensors);
  void load_student(const NamedTensors& tensors);
  void load_teacher(const NamedTensors& tensors);
  /// Throws Error naming the first weight that is not finite: nothing worth keeping is lost by
  /// refusing to write it.
  void check_weights(int64_t step) const;

 private:
  struct Outputs {
    LossInputs logits;
    std::vector<torch::Tensor> terms;  // undefined for terms that are not of the phase
    torch::Tensor total;
    std::vector<double> coverage;
  };
  /// `step` is what the step's own draws are made from.
  Outputs forward(const Batch& batch, bool all_models, int64_t step);
  void score_student(const Batch& batch, const TensorBatch& tensors, int64_t step,
                     LossInputs& logits);
  /// `items` [R, D] are the batch's.
  void fill_catalogue(const Batch& batch, const TensorBatch& tensors, const torch::Tensor& items,
                      int64_t step, CatalogueInputs& catalogue);
  void fill_labels(const TensorBatch& tensors, LossInputs& inputs) const;
  void check_names() const;
  /// Where a term compares with the scores of the log by snapshot. Throws ConfigError if there are
  /// none.
  void open_mentor(const TrainRecipe& recipe, const Dataset& dataset);
  int64_t count_snapshots(const Dataset& dataset) const;
  void make_snapshot_scale(const Dataset& dataset, const OptimizerOptions& optimizer,
                           int64_t planned_steps);
  bool active(const TermOptions& term) const;
  LossValues values_of(const Outputs& outputs) const;
  LossValues step_with_peers(const Batch& batch, int64_t step, int64_t whole_rows);
  void update_weights();
  std::vector<LossWeights::Seen> seen_of(const Outputs& outputs, const LossValues& values);
  /// Why a step is refused, in words.
  std::string refusal(const Batch& batch, const LossValues& losses, int64_t step) const;

  std::vector<TermOptions> terms_;
  std::vector<Loss> losses_;
  const Schema& schema_;
  torch::Device device_;
  DenseWidths widths_;
  RewardOptions reward_;
  TaskForest forest_;
  std::vector<std::string> labels_;  // of the dataset
  Rng draws_;                        // of negatives that losses ask for
  Rng list_draws_;                   // of lists and what is outside them
  std::optional<RunModels> mentor_;  // frozen
  bool asks_mentor_ = false;         // rows are scored by it
  std::optional<ScoreSource> scores_;
  std::unique_ptr<CatalogueRows> catalogue_;  // where a loss compares with all items
  std::optional<StreamingShare> streaming_;   // where a loss asks for it
  bool bf16_;                                 // dense layers of a step
  LossWeights loss_weights_;
  Phase phase_ = Phase::kJoint;
  std::shared_ptr<CandidateModel> student_;
  std::shared_ptr<RankingModel> teacher_;
  std::unique_ptr<Optimizer> student_optimizer_, teacher_optimizer_;
  std::shared_ptr<SnapshotScale> snapshot_scale_;  // where a term asks for it
  std::unique_ptr<Optimizer> snapshot_optimizer_;
  Ranks* ranks_ = nullptr;
  std::unique_ptr<GradientExchange> exchange_;  // where there are several ranks
  bool peer_asked_to_stop_ = false;
};

constexpr const char* kStudentPrefix = "student/";
constexpr const char* kTeacherPrefix = "teacher/";

}  // namespace retort
