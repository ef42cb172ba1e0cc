// Probabilities of tasks that follow from one another, from a logit a head: model/task_logits.h
// without torch.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "retort/bundle/ranker_spec.h"

namespace retort {

/// Logits by output, [R] each.
using RankerLogits = std::map<std::string, std::vector<float>>;

/// Logits of p(task | shown), of the conditional probabilities "<task>_given_<parent>" and, with a
/// seconds_cap, of the value. In log space throughout, in double. Adds what heads there are: of
/// every task one, [tasks] of [R].
/// Source: ESMM, Ma et al., SIGIR 2018, eq. 1, on every edge of the forest; methods A4, D3b, E2.
RankerLogits forest_outputs(const RankerSpec& spec, const std::vector<std::vector<float>>& heads);

/// ln of the normal distribution function, exact to 1e-12 of its value on either side.
double log_ndtr(double x);

}  // namespace retort
