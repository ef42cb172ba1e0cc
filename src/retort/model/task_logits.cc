#include "retort/model/task_logits.h"

#include "retort/model/ctcvr.h"

namespace retort {

std::vector<torch::Tensor> task_labels(const TaskForest& forest,
                                       const std::map<std::string, torch::Tensor>& labels) {
  std::vector<torch::Tensor> all;
  for (const Task& task : forest.tasks) {
    const torch::Tensor& own = labels.at(task.label);
    if (task.parent < 0) {
      all.push_back(own);
      continue;
    }
    const torch::Tensor& parent = all[static_cast<size_t>(task.parent)];
    all.push_back(torch::where(parent == 1, own, parent));
  }
  return all;
}

std::map<std::string, torch::Tensor> forest_logits(const TaskForest& forest,
                                                   const std::vector<torch::Tensor>& heads) {
  std::map<std::string, torch::Tensor> logits;
  for (size_t i = 0; i < forest.tasks.size(); ++i) {
    const Task& task = forest.tasks[i];
    if (task.parent < 0) {
      logits[task.name] = heads[i];
      continue;
    }
    logits[given_name(forest, task)] = heads[i];
    logits[task.name] =
        ctcvr_logit(logits.at(forest.tasks[static_cast<size_t>(task.parent)].name), heads[i]);
  }
  return logits;
}

}  // namespace retort
