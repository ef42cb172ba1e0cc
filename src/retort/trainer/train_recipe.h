// A model recipe read into plain options. Unknown keys are errors that name the nearest known one.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "retort/common/json.h"
#include "retort/dataset/loader.h"
#include "retort/dataset/score_store.h"
#include "retort/kernel/precision.h"
#include "retort/loss/losses.h"
#include "retort/model/task_forest.h"
#include "retort/trainer/weight_rule.h"

namespace retort {

/// One of the summed losses. `on` names the logit that learns (read_logit of loss/inputs.h);
/// `options` is the term's table as losses read it.
struct TermOptions {
  std::string name;  // "bce_teacher_read", for messages and metrics; unique in a recipe
  std::string loss;
  std::string on = "student";
  double weight = 1;
  Json options;
  bool on_student() const { return on.starts_with("student"); }
  /// The logits that its `target` names; none where its loss has no target.
  std::vector<std::string> targets() const;
};

/// [train]
struct LoopOptions {
  int32_t batch = 1024;                    // rows, negatives included
  Precision precision = Precision::kAuto;  // auto | fp32 | bf16: the arithmetic of dense layers
  int64_t epochs = 20;                     // at most; of each phase
  int64_t patience = 2;                    // epochs without a better metric; 0 = never stop early
  std::string rows = "clicks";             // clicks, with negatives | impressions
  bool new_days = false;                   // only rows that the run of the warm start did not see
  int64_t lag = 0;  // microseconds by which training rows end before their split does
  std::string metric = "auc_read";    // auc_read | auc_click | recall@K | task_auc | loss ..
  int64_t checkpoint_every = 0;       // steps; 0 = at epoch ends only
  int64_t validation_limit = 0;       // positives judged; 0 = all
  int64_t log_every = 100;            // steps between two training lines of metrics.jsonl
  int64_t rank_timeout = 1800;        // seconds a rank waits for its peers
  std::string teacher_epoch = "own";  // own: the teacher's best epoch; student: the student's
};

/// Whether steps on `device` compute dense layers in bf16: a processor that multiplies it natively
/// by default, a GPU only where the recipe asks for it.
bool trains_in_bf16(Precision precision, bool on_cpu);

/// [scores]: what the student learns of a ranking model beside or instead of a teacher of its own.
struct ScoreOptions {
  bool given = false;
  bool snapshot = false;  // kind: the run `distill.run` scores every row as it comes
  bool rescore = false;   // missing: .. what the file does not know
  ScoreFile file;
  struct Lists {
    std::map<std::string, double> order;  // by logit; empty: "read", else the only one
    int64_t length = 20;                  // K
    bool by_rank = false;  // sample: K drawn with probability ~ exp(-rank / spread), not the best
    double spread = 20;
    int64_t pool = 0;   // .. of the best so many; 0 = all
    int64_t rest = 40;  // N items drawn from those that are not in the list
  } lists;
};

/// [reward]: w_dwm of a click = min(seconds, clip) / mean, so that it is 1 on average.
/// Source: RRA sec. 4.3.1 ("calculated from the DWM value"); methods B2.
struct RewardOptions {
  double clip_quantile = 0.99;  // of the training clicks' known seconds; 1 = no clipping
  bool normalise = true;        // false: the mean is 1 minute
  double clip = std::numeric_limits<double>::infinity();  // seconds, from the dataset
  double mean = 60;                                       // seconds of clipped training clicks
};

/// [fusion]: how the vectors of a student of several tasks are mixed (RRA eq. 8).
struct FusionOptions {
  double value = 0.5;          // w of two tasks, where it is not chosen
  std::vector<double> shares;  // of three tasks or more, likewise; empty: equal ones
  bool on_validation = false;
  std::vector<double> grid{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};
  int32_t steps = 4;  // three tasks or more: the shares tried are all multiples of 1 / steps
  std::string metric = "wrecall@100";  // recall@K | recall_click@K | wrecall@K | ndcg@K | mrr
};

/// [beta]: popularity correction chosen on validation after training.
struct BetaOptions {
  bool on_validation = false;
  std::vector<double> grid{0.0, 0.25, 0.5, 0.75, 1.0};
  std::string metric = "recall@100";  // recall@K | ndcg@K | mrr
};

struct TrainRecipe {
  std::string name;
  Json student, teacher;  // teacher: teacher_table(), null if there is none
  TaskForest tasks;       // of a teacher of kind "mmoe"
  std::vector<TermOptions> terms;
  Json optimizer;
  LoopOptions loop;
  bool frozen = false;  // [distill] mode: the teacher is trained first, then frozen
  std::string mentor;   // [distill] run: the run whose ranker gives mentor_click and mentor_dwm
  BetaOptions beta;
  FusionOptions fusion;
  RewardOptions reward;
  LossWeightOptions loss_weights;
  ScoreOptions scores;

  bool has_teacher() const { return !teacher.is_null(); }
  bool has_student_terms() const;
  /// Of all terms together: what any of their losses needs.
  LossNeeds needs() const;
  /// Whether some term names a logit that begins so, as its target.
  bool has_target(const std::string& prefix) const;
  bool needs_streaming_share() const;  // some loss estimates shares of items while training
};

/// Throws ConfigError naming the key. `dataset` gives the scale of the seconds for
/// [target] transform = "scaled".
TrainRecipe read_train_recipe(const Json& recipe, const Dataset& dataset);

/// Options of the training batches: [negatives] over the dataset's protocol.
LoaderOptions training_rows(const Json& recipe, const Dataset& dataset, uint64_t seed);
/// Options of the frozen validation batches: the dataset's protocol alone.
LoaderOptions validation_rows(const Dataset& dataset, const LoopOptions& loop);

}  // namespace retort
