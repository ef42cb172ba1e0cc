// How well a run's ranking model orders what was shown by each task of its recipe's forest: what
// shows whether tasks help or hinder one another.
#pragma once

#include "retort/study/judge.h"

namespace retort {

class TrainedModel;

/// Adds "task_auc_<task>" to a run's row for every task of a declared forest, of whatever other
/// tasks it was trained with: the area of p(task | shown) over the split's impressions whose label
/// in the entire space is known, with its interval by user. Rows are the dataset's clicks with
/// their frozen negatives where it has no impressions. Nothing without [tasks].
/// Source: methods E1 (each task alone against together); SIGIR 2018, ESMM, sec. 3.1 (AUC of CTCVR
/// over the entire space).
void judge_tasks(JudgedRow& row, const Dataset& dataset, const TrainedModel& model,
                 const EvaluateOptions& options);

}  // namespace retort
