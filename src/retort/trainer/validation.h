// Judging while training: losses and AUCs of student and teacher on the frozen validation rows,
// Recall@K over the catalogue where the recipe wants it, the choice of beta.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "retort/dataset/loader.h"
#include "retort/metric/auc.h"
#include "retort/metric/towers.h"
#include "retort/trainer/learner.h"

namespace retort {

struct Judgement {
  LossValues losses;                // means over the rows
  std::optional<AucSplit> student;  // absent in the phase that trains the teacher alone
  std::optional<AucSplit> teacher;  // auc_read by the logit of pCTCVR, auc_click by that of pCTR
  std::map<std::string, double> task_auc;  // of the tasks of a declared forest
  std::optional<double>
      recall;  // of reads, where the metric is recall@K, recall_click@K or wrecall@K
};

/// Scores every row of `rows`; `between_batches` may throw to stop.
Judgement judge(Learner& learner, const Dataset& dataset, const Loader& rows,
                const LoopOptions& loop, const std::function<void()>& between_batches);

/// What decides in a phase: the recipe's metric, or in the teacher's phase its auc_read, unless
/// the metric is the loss.
std::string deciding_name(const std::string& metric, Phase phase);
/// The value of deciding_name. Throws DataError if the validation rows give none.
double deciding_metric(const Judgement& judgement, const std::string& metric, Phase phase);
/// True if `value` is better than `best`: lower for "loss", higher otherwise.
bool is_better(const std::string& metric, double value, double best);

/// What decides between the teacher's own epochs: auc_read, or where a forest has no reads the mean
/// of its tasks' areas; the recipe's metric where that is one of tasks. Absent without a teacher.
std::optional<double> teacher_metric(const Judgement& judgement, const std::string& metric);

/// {"auc_read": .., "auc_click": .., ..}
Json to_json(const AucSplit& split);

/// The w of the grid (RRA eq. 8) with the best value of `options.metric` on the validation split;
/// of equals the one nearest to 1/2, then the smaller. Of three tasks or more the best shares of
/// all multiples of 1 / steps that sum to 1; of equals the first. Leaves the model's own as they
/// were.
struct FusionChoice {
  std::vector<double> shares;              // of two tasks w alone
  std::vector<std::vector<double>> tried;  // [grid]
  std::vector<double> values;              // [grid]
};
FusionChoice choose_fusion(const Dataset& dataset, std::shared_ptr<CandidateModel> student,
                           torch::Device device, const FusionOptions& options, int64_t limit);

/// The beta of the grid with the best value of `options.metric` for reads of the validation
/// split; the smallest of equals.
struct BetaChoice {
  double beta = 0;
  std::vector<double> values;  // [grid]
};
BetaChoice choose_beta(const Dataset& dataset, const Towers& towers, const BetaOptions& options,
                       int64_t limit);

}  // namespace retort
