#include "retort/nn/adam.h"

#include <algorithm>
#include <cmath>

#include <ATen/Parallel.h>

#include "retort/common/error.h"

namespace retort {
namespace {

constexpr int64_t kGrain = 1 << 14;  // elements worth a thread

template <class T>
struct Factors {
  explicit Factors(const AdamStep& step)
      : beta1(static_cast<T>(step.beta1)),
        rest1(static_cast<T>(1 - step.beta1)),
        beta2(static_cast<T>(step.beta2)),
        rest2(static_cast<T>(1 - step.beta2)),
        epsilon(static_cast<T>(step.epsilon)),
        rate(static_cast<T>(step.learning_rate / step.correction1)),
        root(static_cast<T>(1 / std::sqrt(step.correction2))),
        keep(static_cast<T>(1 - step.learning_rate * step.decay)),
        scale(static_cast<T>(step.scale)) {}
  T beta1, rest1, beta2, rest2, epsilon, rate, root, keep, scale;
};

template <class T>
void update_run(T* __restrict value, const T* __restrict grad, T* __restrict m, T* __restrict v,
                int64_t size, const Factors<T>& f) {
  for (int64_t i = 0; i < size; ++i) {
    const T g = grad[i] * f.scale;
    m[i] = f.beta1 * m[i] + f.rest1 * g;
    v[i] = f.beta2 * v[i] + f.rest2 * g * g;
    value[i] = value[i] * f.keep - f.rate * m[i] / (std::sqrt(v[i]) * f.root + f.epsilon);
  }
}

}  // namespace

void adam_update(const torch::Tensor& value, const torch::Tensor& grad, const torch::Tensor& m,
                 const torch::Tensor& v, const AdamStep& step) {
  if (!value.is_cpu() || !value.is_contiguous()) return adam_update_by_ops(value, grad, m, v, step);
  check(grad.sizes() == value.sizes(), "adam: {} gradients for {} values", grad.numel(),
        value.numel());
  const torch::Tensor from = grad.contiguous();
  AT_DISPATCH_FLOATING_TYPES(value.scalar_type(), "adam_update", [&] {
    const Factors<scalar_t> factors(step);
    auto* to = value.data_ptr<scalar_t>();
    const auto* g = from.data_ptr<scalar_t>();
    auto* mp = m.data_ptr<scalar_t>();
    auto* vp = v.data_ptr<scalar_t>();
    at::parallel_for(0, value.numel(), kGrain, [&](int64_t begin, int64_t end) {
      update_run(to + begin, g + begin, mp + begin, vp + begin, end - begin, factors);
    });
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
  if (!value.is_cpu()) return adam_update_rows_by_ops(value, rows, m, v, step);
  const int64_t dim = value.size(1);
  check(rows.unique && rows.grads.dim() == 2 && rows.grads.size(1) == dim,
        "adam: merged gradients of {} values a row are expected", dim);
  const torch::Tensor from = rows.grads.contiguous();
  const int64_t* ids = rows.ids.data_ptr<int64_t>();
  AT_DISPATCH_FLOATING_TYPES(value.scalar_type(), "adam_update_rows", [&] {
    const Factors<scalar_t> factors(step);
    auto* to = value.data_ptr<scalar_t>();
    const auto* g = from.data_ptr<scalar_t>();
    auto* mp = m.data_ptr<scalar_t>();
    auto* vp = v.data_ptr<scalar_t>();
    const int64_t grain = std::max<int64_t>(1, kGrain / dim);
    at::parallel_for(0, rows.ids.size(0), grain, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t at = ids[row] * dim;
        update_run(to + at, g + row * dim, mp + at, vp + at, dim, factors);
      }
    });
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
