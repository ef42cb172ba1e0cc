#include "retort/model/ctcvr.h"

namespace retort {

torch::Tensor ctcvr_logit(const torch::Tensor& click, const torch::Tensor& read_given_click) {
  const torch::Tensor a = -click, b = -read_given_click;
  return -torch::logsumexp(torch::stack({a, b, a + b}), 0);
}

}  // namespace retort
