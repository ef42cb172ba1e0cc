#include "retort/loss/distillation.h"

#include <numbers>

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

namespace {

/// The teacher's outputs that a student learns, and what each weighs.
struct Target {
  std::vector<std::string> names;
  std::vector<double> weights;

  torch::Tensor of(const LossInputs& inputs, const char* loss) const {
    std::vector<torch::Tensor> logits;
    for (const std::string& name : names)
      logits.push_back(logit_of(inputs, "teacher_" + name, loss));
    return logits.size() == 1 && weights[0] == 1 ? logits[0] : fused_logit(logits, weights);
  }
};

Target read_target(Fields& fields) {
  const Json given = fields.sub("target");
  if (given.is_null()) return {{"read"}, {1}};
  if (given.is_string() && !given.get<std::string>().empty())
    return {{given.get<std::string>()}, {1}};
  Target target;
  double sum = 0;
  if (given.is_object())
    for (const auto& [name, weight] : given.items()) {
      if (!weight.is_number() || !(weight.get<double>() >= 0))
        fail<ConfigError>("{} = {}: a weight of 0 or more is expected",
                          fields.name("target." + name), weight.dump());
      target.names.push_back(name);
      target.weights.push_back(weight.get<double>());
      sum += target.weights.back();
    }
  if (!(sum > 0))
    fail<ConfigError>(
        "{} = {}: a task of the teacher is expected, or weights of tasks, {{ read = 1, share = 0.5 "
        "}}, not all 0",
        fields.name("target"), given.dump());
  return target;
}

}  // namespace

Loss make_kl_bernoulli(const Json& term) {
  double temperature = 1;
  Fields fields = term_fields(term);
  const Target target = read_target(fields);
  fields.read("temperature", temperature);
  fields.finish();
  if (!(temperature > 0))
    fail<ConfigError>("{}: a number above 0 is expected, not {}", fields.name("temperature"),
                      temperature);
  return [target, temperature](const LossInputs& inputs) {
    return kl_bernoulli(target.of(inputs, "kl_bernoulli"),
                        logit_of(inputs, "student", "kl_bernoulli"), temperature);
  };
}

Loss make_chi2_literal(const Json& term) {
  Fields fields = term_fields(term);
  const Target target = read_target(fields);
  fields.finish();
  return [target](const LossInputs& inputs) {
    return chi2_literal(target.of(inputs, "chi2_literal"),
                        logit_of(inputs, "student", "chi2_literal"));
  };
}

}  // namespace retort
