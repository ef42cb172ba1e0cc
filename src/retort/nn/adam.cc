#include "retort/nn/adam.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "retort/common/error.h"
#include "retort/kernel/optimizer_steps.h"
#include "retort/kernel/rows.h"
#include "retort/kernel/runs.h"
#include "retort/nn/bf16_view.h"

namespace retort {
namespace {

constexpr int64_t kUpdateGrain = 1 << 14;  // elements worth a thread

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

bool updates_fused(const torch::Tensor& value) {
  return value.is_cpu() && value.is_contiguous() && value.scalar_type() == torch::kFloat32;
}

void fetch_floats(const float* row, int64_t dim) {
  fetch_row(row, dim * static_cast<int64_t>(sizeof(float)), true);
}

}  // namespace

void adam_update(const torch::Tensor& value, const torch::Tensor& grad, const torch::Tensor& m,
                 const torch::Tensor& v, const AdamStep& step) {
  if (!updates_fused(value)) return adam_update_by_ops(value, grad, m, v, step);
  check(grad.sizes() == value.sizes(), "adam: {} gradients for {} values", grad.numel(),
        value.numel());
  const torch::Tensor from = grad.contiguous();
  const AdamFactors factors = factors_of(step);
  float *to = value.data_ptr<float>(), *mp = m.data_ptr<float>(), *vp = v.data_ptr<float>();
  const auto* g = from.data_ptr<float>();
  in_runs(value.numel(), kUpdateGrain, [&](int64_t begin, int64_t end) {
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

namespace {

/// step(row of the gradients, row of the table, its values) on fp32 values of each touched row;
/// bf16 tables are widened before and rounded at random after. `ahead` prefetches a row's state.
template <class Ahead, class Step>
void update_rows(const torch::Tensor& value, const RowGradients& rows, uint64_t seed,
                 const Ahead& ahead, const Step& step) {
  const int64_t dim = value.size(1), count = rows.ids.size(0);
  check(rows.unique && rows.grads.dim() == 2 && rows.grads.size(1) == dim,
        "optimizer: merged gradients of {} values a row are expected", dim);
  const int64_t* ids = rows.ids.data_ptr<int64_t>();
  const bool wide = value.scalar_type() == torch::kFloat32;
  float* floats = wide ? value.data_ptr<float>() : nullptr;
  Bf16* narrow = wide ? nullptr : bits(value);
  in_runs(count, std::max<int64_t>(1, kUpdateGrain / dim), [&](int64_t begin, int64_t end) {
    constexpr int64_t kAhead = 6;
    std::vector<float> row(wide ? 0 : static_cast<size_t>(dim));
    for (int64_t i = begin; i < end; ++i) {
      if (i + kAhead < end) {
        const int64_t next = ids[i + kAhead];
        if (wide)
          fetch_floats(floats + next * dim, dim);
        else
          fetch_row(narrow + next * dim, dim * static_cast<int64_t>(sizeof(Bf16)), true);
        ahead(next);
      }
      if (wide) {
        step(i, ids[i], floats + ids[i] * dim);
        continue;
      }
      Bf16* at = narrow + ids[i] * dim;
      to_float(at, dim, row.data());
      step(i, ids[i], row.data());
      round_stochastic(row.data(), dim, seed ^ (static_cast<uint64_t>(ids[i]) << 20), at);
    }
  });
}

bool row_fused(const torch::Tensor& value) {
  return value.is_cpu() && value.is_contiguous() &&
         (value.scalar_type() == torch::kFloat32 || value.scalar_type() == torch::kBFloat16);
}

/// Where the step's randomness of rounding comes from.
uint64_t rounding_seed(const AdamStep& step) { return static_cast<uint64_t>(step.number) << 44; }

}  // namespace

void adam_update_rows(const torch::Tensor& value, const RowGradients& rows, const torch::Tensor& m,
                      const torch::Tensor& v, const AdamStep& step) {
  if (!row_fused(value)) return adam_update_rows_by_ops(value, rows, m, v, step);
  const int64_t dim = value.size(1);
  const torch::Tensor from = rows.grads.contiguous();
  const AdamFactors factors = factors_of(step);
  float *mp = m.data_ptr<float>(), *vp = v.data_ptr<float>();
  const auto* g = from.data_ptr<float>();
  update_rows(
      value, rows, rounding_seed(step),
      [&](int64_t row) {
        fetch_floats(mp + row * dim, dim);
        fetch_floats(vp + row * dim, dim);
      },
      [&](int64_t i, int64_t row, float* values) {
        adam_run(values, g + i * dim, mp + row * dim, vp + row * dim, dim, factors);
      });
}

void adagrad_update_rows(const torch::Tensor& value, const RowGradients& rows,
                         const torch::Tensor& sums, const AdamStep& step) {
  if (!row_fused(value)) return adagrad_update_rows_by_ops(value, rows, sums, step);
  const int64_t dim = value.size(1);
  const torch::Tensor from = rows.grads.contiguous();
  auto* sum = sums.data_ptr<float>();
  const auto* g = from.data_ptr<float>();
  const auto rate = static_cast<float>(step.learning_rate),
             keep = static_cast<float>(1 - step.learning_rate * step.decay),
             epsilon = static_cast<float>(step.epsilon);
  update_rows(
      value, rows, rounding_seed(step), [&](int64_t row) { __builtin_prefetch(sum + row, 1); },
      [&](int64_t i, int64_t row, float* values) {
        adagrad_row(values, g + i * dim, dim, rate, keep, epsilon, sum[row]);
      });
}

void adagrad_update_rows_by_ops(torch::Tensor value, const RowGradients& rows, torch::Tensor sums,
                                const AdamStep& step) {
  const torch::Tensor grads = rows.grads.to(torch::kFloat32);
  const torch::Tensor sum = sums.index_select(0, rows.ids) + grads.square().mean(1);
  const torch::Tensor keep =
      value.index_select(0, rows.ids).to(torch::kFloat32) * (1 - step.learning_rate * step.decay);
  const torch::Tensor divisor = (sum.sqrt() + step.epsilon).unsqueeze(1);
  value.index_copy_(0, rows.ids,
                    (keep - grads / divisor * step.learning_rate).to(value.scalar_type()));
  sums.index_copy_(0, rows.ids, sum);
}

void adam_update_rows_by_ops(torch::Tensor value, const RowGradients& rows, torch::Tensor m,
                             torch::Tensor v, const AdamStep& step) {
  torch::Tensor value_rows = value.index_select(0, rows.ids).to(m.scalar_type());
  torch::Tensor m_rows = m.index_select(0, rows.ids);
  torch::Tensor v_rows = v.index_select(0, rows.ids);
  adam_update_by_ops(value_rows, rows.grads, m_rows, v_rows, step);
  value.index_copy_(0, rows.ids, value_rows.to(value.scalar_type()));
  m.index_copy_(0, rows.ids, m_rows);
  v.index_copy_(0, rows.ids, v_rows);
}

}  // namespace retort
