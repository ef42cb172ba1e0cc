// One step of Adam or row-wise Adagrad on tensors: fused loops for fp32 on the CPU, libtorch
// operations elsewhere.
#pragma once

#include <torch/torch.h>

#include "retort/nn/row_ops.h"

namespace retort {

/// What is the same for all values of a step.
struct AdamStep {
  double learning_rate = 1e-3;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double correction1 = 1, correction2 = 1;  // 1 - beta^t
  double decay = 0;                         // decoupled: value *= 1 - learning_rate * decay
  double scale = 1;                         // of the gradient (clipping)
  int64_t number = 0;                       // of the step: the randomness of rounding
};

/// Updates value, m and v in place; all of one shape, contiguous, float or double.
void adam_update(const torch::Tensor& value, const torch::Tensor& grad, const torch::Tensor& m,
                 const torch::Tensor& v, const AdamStep& step);
void adam_update_by_ops(torch::Tensor value, const torch::Tensor& grad, torch::Tensor m,
                        torch::Tensor v, const AdamStep& step);

/// The same on the rows `rows.ids` of value, m and v [rows, dim]; no id may repeat. value may be
/// bf16 and is then rounded at random (on the CPU); m and v are fp32.
void adam_update_rows(const torch::Tensor& value, const RowGradients& rows, const torch::Tensor& m,
                      const torch::Tensor& v, const AdamStep& step);
void adam_update_rows_by_ops(torch::Tensor value, const RowGradients& rows, torch::Tensor m,
                             torch::Tensor v, const AdamStep& step);

/// Row-wise Adagrad on the rows `rows.ids`; sums [rows] fp32. Of `step` the learning rate, epsilon
/// and decay count. Source: see kernel/optimizer_steps.h.
void adagrad_update_rows(const torch::Tensor& value, const RowGradients& rows,
                         const torch::Tensor& sums, const AdamStep& step);
void adagrad_update_rows_by_ops(torch::Tensor value, const RowGradients& rows, torch::Tensor sums,
                                const AdamStep& step);

}  // namespace retort
