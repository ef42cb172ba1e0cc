#include "retort/loss/distillation.h"

#include "retort/common/error.h"
#include "retort/loss/inputs.h"

namespace retort {

torch::Tensor kl_bernoulli(const torch::Tensor& teacher, const torch::Tensor& student,
                           double temperature) {
  const torch::Tensor u = teacher.detach() / temperature;
  const torch::Tensor x = student / temperature;
  const torch::Tensor p = torch::sigmoid(u);
  // softplus(-x) - softplus(-u) = log_sigmoid(u) - log_sigmoid(x), and the same mirrored.
  const torch::Tensor positive = p * (torch::log_sigmoid(u) - torch::log_sigmoid(x));
  const torch::Tensor negative =
      torch::sigmoid(-u) * (torch::log_sigmoid(-u) - torch::log_sigmoid(-x));
  return temperature * temperature * (positive + negative).mean();
}

torch::Tensor chi2_literal(const torch::Tensor& teacher, const torch::Tensor& student) {
  // 1 / q = 1 + e^-s and 1 / (1 - q) = 1 + e^s.
  const torch::Tensor p = torch::sigmoid(teacher.detach());
  const torch::Tensor rest = torch::sigmoid(-teacher.detach());
  return (p.square() * (1 + torch::exp(-student)) + rest.square() * (1 + torch::exp(student)))
      .mean();
}

Loss make_kl_bernoulli(const Json& term) {
  std::string target = "read";
  double temperature = 1;
  Fields fields = term_fields(term);
  fields.read_choice("target", target, {"read", "click"});
  fields.read("temperature", temperature);
  fields.finish();
  if (!(temperature > 0))
    fail<ConfigError>("{}: a number above 0 is expected, not {}", fields.name("temperature"),
                      temperature);
  return [target, temperature](const LossInputs& inputs) {
    return kl_bernoulli(logit_of(inputs, "teacher_" + target, "kl_bernoulli"),
                        logit_of(inputs, "student", "kl_bernoulli"), temperature);
  };
}

Loss make_chi2_literal(const Json& term) {
  std::string target = "read";
  Fields fields = term_fields(term);
  fields.read_choice("target", target, {"read", "click"});
  fields.finish();
  return [target](const LossInputs& inputs) {
    return chi2_literal(logit_of(inputs, "teacher_" + target, "chi2_literal"),
                        logit_of(inputs, "student", "chi2_literal"));
  };
}

}  // namespace retort
