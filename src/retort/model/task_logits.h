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

/// log( E[min(T, cap)] / cap ) of ln T ~ N(mean, exp(log_deviation)^2), below 0; exact for any
/// mean: E[min(T, c)] = exp(m + s^2 / 2) Phi((ln c - m - s^2) / s) + c (1 - Phi((ln c - m) / s)).
/// Source: methods E2. Shapes: [R].
torch::Tensor log_capped_share(const torch::Tensor& mean, const torch::Tensor& log_deviation,
                               double cap);

/// Logits of p(task | shown) and, of tasks with a parent, of the conditional probability
/// "<task>_given_<parent>", from one logit a head. In log space throughout: ctcvr_logit along the
/// way from the root. Of a forest with seconds also its two heads, ln T's mean lifted by
/// ln(cap) / 2 so that it starts near a click's, and without gradient kValueOutput (methods D3b).
/// @param heads [tasks] of [R]   @return by name, [R] each
/// Source: ESMM, Ma et al., SIGIR 2018, eq. 1, on every edge of the forest; methods A4. Shapes: as
/// each function says.
std::map<std::string, torch::Tensor> forest_logits(const TaskForest& forest,
                                                   const std::vector<torch::Tensor>& heads);

}  // namespace retort
