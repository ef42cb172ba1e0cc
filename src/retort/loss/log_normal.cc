#include "retort/loss/log_normal.h"

#include "retort/common/error.h"
#include "retort/loss/inputs.h"

namespace retort {

torch::Tensor log_normal(const torch::Tensor& mean, const torch::Tensor& log_deviation,
                         const torch::Tensor& clicks, const torch::Tensor& known,
                         const torch::Tensor& seconds) {
  const torch::Tensor s = log_deviation.clamp(-5, 5);
  const torch::Tensor distance = (seconds.clamp_min(1).log() - mean) * (-s).exp();
  return (clicks * known * (s + distance.square() / 2)).mean();
}

Loss make_log_normal(const Json& term) {
  constexpr const char* kName = "log_normal";
  std::string on = "student";
  Fields fields = term_fields(term);
  read_logit(fields, "on", on);
  fields.finish();
  if (on != "teacher_seconds")
    fail<ConfigError>("{} = '{}': teacher_seconds is expected, of a teacher with seconds_cap",
                      fields.name("on"), on);
  return [](const LossInputs& inputs) {
    const torch::Tensor mean = logit_of(inputs, "teacher_seconds", kName);
    return log_normal(mean, logit_of(inputs, "teacher_seconds_deviation", kName),
                      label_of(inputs, "click", kName, mean),
                      label_of(inputs, "known", kName, mean),
                      label_of(inputs, "seconds", kName, mean));
  };
}

}  // namespace retort
