// `retort evaluate`: a trained run beside its teacher, the baselines and any further rows, as one
// table for people and one JSON object for tools.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "retort/common/json.h"
#include "retort/study/judge.h"

namespace retort {

class TrainedModel;

struct EvaluateResult {
  Json about;                         // dataset, split, counts, stated options
  std::vector<JudgedRow> rows;        // model, teacher, baselines, extra rows
  std::vector<std::string> warnings;  // where a model loses to a baseline
};

/// Judges one model. Needs libtorch (compiled with the trainer); the rest of this file does not.
EvaluateResult evaluate(const Dataset& dataset, const TrainedModel& model,
                        const EvaluateOptions& options, std::span<const ExtraRow> extra = {});

/// The student's row, with its distance to its own teacher. Needs libtorch.
JudgedRow judge_student(Judge& judge, const std::string& name, const TrainedModel& model);

/// False for a student trained by squared error: its score is no logit, and has no `ece`.
bool is_logit_student(const Json& recipe);

/// One plain sentence for each model and metric (auc_read, recall@K) where baselines have the
/// higher value, naming them best first.
std::vector<std::string> warnings_of(std::span<const JudgedRow> rows);

/// {"evaluation": about, "models": {ROW: {METRIC: {"value", "low", "high"}}}, "kinds": {ROW: kind},
/// "details": {ROW: [JudgedRow::details]}, "warnings": [..]}. Values that are not numbers are null.
Json to_json(const EvaluateResult& result);
/// Two tables (test rows; catalogue), what was judged, warnings.
std::string table(const EvaluateResult& result);

/// The same two tables of any cells: `cell(row, metric)` is "" where a row lacks the metric.
struct TableRow {
  std::string name;
  RowRole kind;
};
std::string metric_tables(const std::vector<TableRow>& rows,
                          const std::vector<std::string>& metrics,
                          const std::function<std::string(size_t row, const std::string&)>& cell);
/// Metric names of all rows in the order they first appear.
std::vector<std::string> metrics_of(std::span<const JudgedRow> rows);
/// "Judged: 4,321 clicks (2,000 reads) of 812 users, ..": the line below the tables.
std::string describe(const Json& about);

}  // namespace retort
