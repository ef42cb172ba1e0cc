#include "retort/loss/bce.h"

#include "retort/common/error.h"
#include "retort/loss/inputs.h"

namespace retort {

torch::Tensor bce_with_logits(const torch::Tensor& logits, const torch::Tensor& labels) {
  // softplus(-x) = -log_sigmoid(x), exact for large |x| where softplus of this library switches to
  // a line; two terms, because (1 - y) x - log_sigmoid(x) cancels at small probabilities.
  return -(labels * torch::log_sigmoid(logits) + (1 - labels) * torch::log_sigmoid(-logits)).mean();
}

Loss make_bce(const Json& term) {
  std::string on = "student", label;
  Fields fields = term_fields(term);
  fields.read_choice("on", on, logit_names());
  fields.read_choice("label", label, {"click", "read"});
  fields.finish();
  return [on, label](const LossInputs& inputs) {
    const torch::Tensor logits = logit_of(inputs, on, "bce");
    return bce_with_logits(logits, label_of(inputs, label, "bce", logits));
  };
}

}  // namespace retort
