#include "retort/loss/distillation.h"

#include <numbers>

#include "retort/common/error.h"
#include "retort/loss/inputs.h"
#include "retort/loss/soft_target.h"

namespace retort {

torch::Tensor kl_rows(const torch::Tensor& teacher, const torch::Tensor& student,
                      double temperature) {
  const torch::Tensor u = teacher.detach() / temperature;
  const torch::Tensor x = student / temperature;
  const torch::Tensor p = torch::sigmoid(u);
  // softplus(-x) - softplus(-u) = log_sigmoid(u) - log_sigmoid(x), and the same mirrored.
  const torch::Tensor positive = p * (torch::log_sigmoid(u) - torch::log_sigmoid(x));
  const torch::Tensor negative =
      torch::sigmoid(-u) * (torch::log_sigmoid(-u) - torch::log_sigmoid(-x));
  return temperature * temperature * (positive + negative);
}

torch::Tensor kl_bernoulli(const torch::Tensor& teacher, const torch::Tensor& student,
                           double temperature) {
  return kl_rows(teacher, student, temperature).mean();
}

torch::Tensor chi2_literal(const torch::Tensor& teacher, const torch::Tensor& student) {
  // 1 / q = 1 + e^-s and 1 / (1 - q) = 1 + e^s.
  const torch::Tensor p = torch::sigmoid(teacher.detach());
  const torch::Tensor rest = torch::sigmoid(-teacher.detach());
  return (p.square() * (1 + torch::exp(-student)) + rest.square() * (1 + torch::exp(student)))
      .mean();
}

torch::Tensor fused_logit(const std::vector<torch::Tensor>& logits,
                          const std::vector<double>& weights) {
  const torch::NoGradGuard constant;
  torch::Tensor log_p;
  for (size_t i = 0; i < logits.size(); ++i) {
    const torch::Tensor part = weights[i] * torch::log_sigmoid(logits[i]);
    log_p = log_p.defined() ? log_p + part : part;
  }
  // log(1 - p), by the form that is exact on either side of p = 1 / 2.
  const torch::Tensor log_rest =
      torch::where(log_p > -std::numbers::ln2, torch::log(-torch::expm1(log_p)),
                   torch::log1p(-torch::exp(log_p)));
  return log_p - log_rest;
}

Loss make_kl_bernoulli(const Json& term) {
  double temperature = 1;
  std::string on = "student";
  Fields fields = term_fields(term);
  read_student_logit(fields, on);
  const SoftTarget target = SoftTarget::read(fields, "read");
  fields.read("temperature", temperature);
  fields.finish();
  if (!(temperature > 0))
    fail<ConfigError>("{}: a number above 0 is expected, not {}", fields.name("temperature"),
                      temperature);
  return [on, target, temperature](const LossInputs& inputs) {
    const torch::Tensor student = logit_of(inputs, on, "kl_bernoulli");
    const torch::Tensor teacher = target.of(inputs, "kl_bernoulli");
    if (!target.may_be_unknown()) return kl_bernoulli(teacher, student, temperature);
    const torch::Tensor known = teacher.isnan().logical_not();
    const torch::Tensor given = torch::where(known, teacher, torch::zeros_like(teacher));
    return (kl_rows(given, student, temperature) * known).mean();
  };
}

Loss make_chi2_literal(const Json& term) {
  Fields fields = term_fields(term);
  const SoftTarget target = SoftTarget::read(fields, "read");
  fields.finish();
  if (target.may_be_unknown())
    fail<ConfigError>("{}: a task of the teacher or a mentor's is expected", fields.name("target"));
  return [target](const LossInputs& inputs) {
    return chi2_literal(target.of(inputs, "chi2_literal"),
                        logit_of(inputs, "student", "chi2_literal"));
  };
}

}  // namespace retort
