#include "retort/model/task_logits.h"

#include <cmath>
#include <numbers>

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

torch::Tensor log_capped_share(const torch::Tensor& mean, const torch::Tensor& log_deviation,
                               double cap) {
  const torch::Tensor s = log_deviation.clamp(-5, 5).exp();
  const torch::Tensor distance = (std::log(cap) - mean) / s;
  const torch::Tensor below =
      mean + s.square() / 2 - std::log(cap) + torch::special::log_ndtr(distance - s);
  return torch::logaddexp(below, torch::special::log_ndtr(-distance));
}

namespace {

/// The logit of exp(log_p), by the form that is exact on either side of p = 1 / 2.
torch::Tensor logit_of_log(const torch::Tensor& log_p) {
  return log_p - torch::where(log_p > -std::numbers::ln2, torch::log(-torch::expm1(log_p)),
                              torch::log1p(-torch::exp(log_p)));
}

}  // namespace

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
  if (forest.seconds_cap == 0) return logits;
  torch::Tensor& mean = logits.at(kSecondsHead);
  mean = mean + std::log(forest.seconds_cap) / 2;
  const torch::NoGradGuard constant;
  logits[kValueOutput] =
      logit_of_log(torch::log_sigmoid(logits.at("click")) +
                   log_capped_share(mean, logits.at(kDeviationHead), forest.seconds_cap));
  return logits;
}

}  // namespace retort
