#include "retort/loss/squared.h"

#include "retort/common/error.h"
#include "retort/loss/inputs.h"

namespace retort {

torch::Tensor squared_error(const torch::Tensor& scores, const torch::Tensor& targets) {
  return (scores - targets).square().mean();
}

Loss make_squared(const Json& term) {
  std::string on = "student", target = "seconds", transform = "raw";
  double scale = 0;
  Fields fields = term_fields(term);
  fields.read_choice("on", on, {"student"});
  fields.read_choice("target", target, {"seconds"});
  fields.read_choice("transform", transform, {"raw", "scaled", "log1p"});
  fields.read("scale", scale);
  fields.finish();
  if (transform == "scaled" && !(scale > 0))
    fail<ConfigError>("{}: transform 'scaled' needs a number above 0, not {}", fields.name("scale"),
                      scale);
  return [on, target, transform, scale](const LossInputs& inputs) {
    const torch::Tensor scores = logit_of(inputs, on, "squared");
    torch::Tensor seconds = label_of(inputs, target, "squared", scores);
    if (transform == "scaled") seconds = seconds / scale;
    if (transform == "log1p") seconds = torch::log1p(seconds);
    return squared_error(scores, seconds);
  };
}

}  // namespace retort
