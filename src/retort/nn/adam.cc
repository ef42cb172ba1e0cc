#include "retort/nn/adam.h"

#include <algorithm>
#include <cmath>

#include <ATen/Parallel.h>

#include "retort/common/error.h"
#include "retort/kernel/adam_run.h"

namespace retort {
namespace {

constexpr int64_t kGrain = 1 << 14;  // elements worth a thread

AdamFactors factors_of(const AdamStep& step) {
  const auto narrow = [](double value) { return static_cast<float>(value); };
  return {.beta1 = narrow(step.beta1),
          .rest1 = narrow(1 - step.beta1),
          .beta2 = narrow(step.beta2),
          .rest2 = narrow(1 - step.beta2),
          .epsilon = narrow(step.epsilon),
          .rate = narrow(step.learning_rate / step.correction1),
          .root = narrow(1 / std::sqrt(step.correction2)),
          .keep = narrow(1 - step.learning_rate * step.decay),
          .scale = narrow(step.scale)};
}

bool fused(const torch::Tensor& value) {
  return value.is_cpu() && value.is_contiguous() && value.scalar_type() == torch::kFloat32;
}

void prefetch_row(const float* row, int64_t dim) {
  __builtin_prefetch(row, 1);
  __builtin_prefetch(row + dim - 1, 1);
}

}  // namespace

void adam_update(const torch::Tensor& value, const torch::Tensor& grad, const torch::Tensor& m,
                 const torch::Tensor& v, const AdamStep& step) {
  if (!fused(value)) return adam_update_by_ops(value, grad, m, v, step);
  check(grad.sizes() == value.sizes(), "adam: {} gradients for {} values", grad.numel(),
        value.numel());
  const torch::Tensor from = grad.contiguous();
  const AdamFactors factors = factors_of(step);
  float *to = value.data_ptr<float>(), *mp = m.data_ptr<float>(), *vp = v.data_ptr<float>();
  const auto* g = from.data_ptr<float>();
  at::parallel_for(0, value.numel(), kGrain, [&](int64_t begin, int64_t end) {
    adam_run(to + begin, g + begin, mp + begin, vp + begin, end - begin, factors);
  });
}

void adam_update_by_ops(torch::Tensor value, const torch::Tensor& grad, torch::Tensor m,
                        torch::Tensor v, const AdamStep& step) {
  const torch::Tensor g = grad * step.scale;
  m.mul_(step.beta1).add_(g, 1 - step.beta1);
  v.mul_(step.beta2).addcmul_(g, g, 1 - step.beta2);
  const torch::Tensor divisor = v.sqrt().mul_(1 / std::sqrt(step.correction2)).add_(step.epsilon);
  value.mul_(1 - step.learning_rate * step.decay)
      .addcdiv_(m, divisor, -step.learning_rate / step.correction1);
}

void adam_update_rows(const torch::Tensor& value, const RowGradients& rows, const torch::Tensor& m,
                      const torch::Tensor& v, const AdamStep& step) {
  if (!fused(value)) return adam_update_rows_by_ops(value, rows, m, v, step);
  const int64_t dim = value.size(1);
  check(rows.unique && rows.grads.dim() == 2 && rows.grads.size(1) == dim,
        "adam: merged gradients of {} values a row are expected", dim);
  const torch::Tensor from = rows.grads.contiguous();
  const int64_t* ids = rows.ids.data_ptr<int64_t>();
  const AdamFactors factors = factors_of(step);
  float *to = value.data_ptr<float>(), *mp = m.data_ptr<float>(), *vp = v.data_ptr<float>();
  const auto* g = from.data_ptr<float>();
  const int64_t grain = std::max<int64_t>(1, kGrain / dim);
  at::parallel_for(0, rows.ids.size(0), grain, [&](int64_t begin, int64_t end) {
    constexpr int64_t kAhead = 6;
    for (int64_t row = begin; row < end; ++row) {
      if (row + kAhead < end)
        for (const float* table : {to, mp, vp}) prefetch_row(table + ids[row + kAhead] * dim, dim);
      const int64_t at = ids[row] * dim;
      adam_run(to + at, g + row * dim, mp + at, vp + at, dim, factors);
    }
  });
}

void adam_update_rows_by_ops(torch::Tensor value, const RowGradients& rows, torch::Tensor m,
                             torch::Tensor v, const AdamStep& step) {
  torch::Tensor value_rows = value.index_select(0, rows.ids);
  torch::Tensor m_rows = m.index_select(0, rows.ids);
  torch::Tensor v_rows = v.index_select(0, rows.ids);
  adam_update_by_ops(value_rows, rows.grads, m_rows, v_rows, step);
  value.index_copy_(0, rows.ids, value_rows);
  m.index_copy_(0, rows.ids, m_rows);
  v.index_copy_(0, rows.ids, v_rows);
}

}  // namespace retort
