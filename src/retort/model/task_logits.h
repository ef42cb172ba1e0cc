// Labels and logits of a forest of tasks as tensors.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <torch/torch.h>

#include "retort/model/task_forest.h"

namespace retort {

/// Labels in the entire space by task: where(parent's = 1, own, parent's); NaN where unknown.
/// @param labels by name, [R] each; click and read must be there   @return [tasks]
std::vector<torch::Tensor> task_labels(const TaskForest& forest,
                                       const std::map<std::string, torch::Tensor>& labels);

/// Logits of p(task | shown) and, of tasks with a parent, of the conditional probability
/// "<task>_given_<parent>", from one logit a head. In log space throughout: ctcvr_logit along the
/// way from the root.
/// @param heads [tasks] of [R]   @return by name, [R] each
/// Source: ESMM, Ma et al., SIGIR 2018, eq. 1, on every edge of the forest; methods A4. Shapes: as
/// each function says.
std::map<std::string, torch::Tensor> forest_logits(const TaskForest& forest,
                                                   const std::vector<torch::Tensor>& heads);

}  // namespace retort
