// How long a click is read, as a law: the teacher's third head.
#pragma once

#include <torch/torch.h>

#include "retort/loss/losses.h"

namespace retort {

/// L = sum_i y_i known_i [ s_i + (ln max(T_i, 1) - m_i)^2 / (2 exp(2 s_i)) ] / R: the negative
/// logarithm of the density of ln T of the clicks whose seconds are known, without its constant;
/// other rows add 0 to the mean over all. s is held between -5 and 5.
/// Source: methods D3b (log-normal seconds). @return scalar
/// @param mean, log_deviation [R]   @param clicks, known, seconds [R]
torch::Tensor log_normal(const torch::Tensor& mean, const torch::Tensor& log_deviation,
                         const torch::Tensor& clicks, const torch::Tensor& known,
                         const torch::Tensor& seconds);

/// Options: on = "teacher_seconds", of a teacher with seconds_cap.
Loss make_log_normal(const Json& term);

}  // namespace retort
