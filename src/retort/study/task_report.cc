#include "retort/study/task_report.h"

#include <algorithm>
#include <cmath>

#include "retort/common/progress.h"
#include "retort/dataset/prefetcher.h"
#include "retort/metric/auc.h"
#include "retort/model/task_forest.h"
#include "retort/trainer/trained_model.h"

namespace retort {
namespace {

/// Every row that has labels.
LoaderOptions labelled_rows(const Dataset& dataset, const EvaluateOptions& options) {
  LoaderOptions rows = frozen_rows(dataset, options);
  if (dataset.impressions().size() > 0) rows.rows = "impressions";
  return rows;
}

/// What is known of one task: rows whose label is, as the areas take them.
struct TaskRows {
  std::vector<float> scores;
  std::vector<RowKind> kinds;  // kRead: the label is 1
  std::vector<int32_t> users;
};

const std::vector<float>& own_label(const Batch& batch, const Dataset& dataset, const Task& task) {
  if (task.label == "click") return batch.click;
  if (task.label == "read") return batch.read;
  const auto& names = dataset.labels();
  const auto at = std::find(names.begin(), names.end(), task.label) - names.begin();
  return batch.labels.at(static_cast<size_t>(at));
}

void add_batch(const Batch& batch, const Dataset& dataset, const TaskForest& forest,
               const PairScorer& teacher, std::vector<TaskRows>& tasks) {
  std::vector<std::vector<float>> labels;  // in the entire space
  std::vector<float> scores(static_cast<size_t>(batch.rows()));
  for (size_t i = 0; i < forest.tasks.size(); ++i) {
    const Task& task = forest.tasks[i];
    std::vector<float> label = own_label(batch, dataset, task);
    if (task.parent >= 0) {
      const std::vector<float>& parent = labels[static_cast<size_t>(task.parent)];
      for (size_t row = 0; row < label.size(); ++row)
        if (parent[row] != 1) label[row] = parent[row];
    }
    teacher.score(batch, task.name, scores);
    for (size_t row = 0; row < label.size(); ++row) {
      if (std::isnan(label[row])) continue;
      tasks[i].scores.push_back(scores[row]);
      tasks[i].kinds.push_back(label[row] > 0 ? RowKind::kRead : RowKind::kSampled);
      tasks[i].users.push_back(batch.user[row]);
    }
    labels.push_back(std::move(label));
  }
}

}  // namespace

void judge_tasks(JudgedRow& row, const Dataset& dataset, const TrainedModel& model,
                 const EvaluateOptions& options) {
  const TaskForest forest = TaskForest::read(model.recipe().value("tasks", Json()));
  if (!forest.declared || model.teacher() == nullptr) return;
  const Loader loader(dataset, labelled_rows(dataset, options));
  std::vector<TaskRows> tasks(forest.tasks.size());
  Progress progress("scoring tasks", loader.rows(), "rows");
  Prefetcher batches(loader);
  batches.start(0);
  int64_t rows = 0;
  while (const Batch* batch = batches.next()) {
    check_interrupt("evaluation");
    add_batch(*batch, dataset, forest, *model.teacher(), tasks);
    progress.update(rows += batch->rows());
  }
  const Bootstrap bootstrap(dataset.users(), options.bootstrap);
  for (size_t i = 0; i < tasks.size(); ++i) {
    const SortedRows sorted(tasks[i].scores, tasks[i].kinds, tasks[i].users);
    auto replicates =
        bootstrap.run(1, [&](std::span<const uint8_t> weights, std::span<double> out) {
          out[0] = sorted.split(weights).auc_read;
        });
    row.metrics.push_back({"task_auc_" + forest.tasks[i].name,
                           interval_of(sorted.split().auc_read, replicates[0]),
                           std::move(replicates[0])});
  }
}

}  // namespace retort
