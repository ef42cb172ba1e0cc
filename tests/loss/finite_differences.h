// Gradients by central differences in float64.
#pragma once

#include <functional>

#include <torch/torch.h>

namespace retort {

/// d f / d x of a scalar function, entry by entry. @param x [n] float64
inline torch::Tensor numeric_gradient(const std::function<torch::Tensor(torch::Tensor)>& f,
                                      const torch::Tensor& x, double step = 1e-5) {
  const torch::NoGradGuard no_grad;
  torch::Tensor gradient = torch::zeros_like(x);
  for (int64_t i = 0; i < x.numel(); ++i) {
    torch::Tensor high = x.detach().clone(), low = x.detach().clone();
    high[i] += step;
    low[i] -= step;
    gradient[i] = (f(high) - f(low)) / (2 * step);
  }
  return gradient;
}

/// d f / d x by autograd.
inline torch::Tensor gradient_of(const std::function<torch::Tensor(torch::Tensor)>& f,
                                 const torch::Tensor& x) {
  torch::Tensor leaf = x.detach().clone().set_requires_grad(true);
  f(leaf).backward();
  return leaf.grad();
}

inline torch::Tensor doubles(std::vector<double> values) {
  return torch::tensor(values, torch::kFloat64);
}

}  // namespace retort
