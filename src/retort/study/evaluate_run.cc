#include <utility>

#include "retort/study/evaluate.h"
#include "retort/study/task_report.h"
#include "retort/trainer/trained_model.h"

namespace retort {

JudgedRow judge_student(Judge& judge, const std::string& name, const TrainedModel& model) {
  const ModelSpec& spec = model.spec();
  JudgedRow row = judge.towers(name, model.student(), spec.beta, is_logit_student(model.recipe()));
  if (model.teacher() != nullptr)
    judge.against_ranker(
        row, model.student(), *model.teacher(),
        spec.user.mixture && spec.user.mixture->tasks.size() == 2 ? spec.fusion : -1);
  judge_tasks(row, judge.dataset(), model, judge.options());
  return row;
}

EvaluateResult evaluate(const Dataset& dataset, const TrainedModel& model,
                        const EvaluateOptions& options, std::span<const ExtraRow> extra) {
  Judge judge(dataset, options);
  EvaluateResult result;
  result.rows.push_back(judge_student(judge, model.name(), model));
  if (model.teacher() != nullptr) result.rows.push_back(judge.teacher("teacher", *model.teacher()));
  if (options.baselines) {
    for (JudgedRow& row : judge.baselines()) result.rows.push_back(std::move(row));
  }
  for (const ExtraRow& row : extra) result.rows.push_back(judge.extra(row));
  result.about = judge.about();
  result.about["beta"] = options.beta.value_or(model.spec().beta);
  result.warnings = warnings_of(result.rows);
  return result;
}

}  // namespace retort
