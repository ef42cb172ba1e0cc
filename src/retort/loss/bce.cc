#include "retort/loss/bce.h"

#include "retort/common/error.h"
#include "retort/loss/inputs.h"

namespace retort {

torch::Tensor bce_with_logits(const torch::Tensor& logits, const torch::Tensor& labels) {
  // y softplus(-x) + (1 - y) softplus(x) = softplus(-x) + (1 - y) x, and log_sigmoid is exact for
  // large |x|, where softplus of this library switches to a line.
  return ((1 - labels) * logits - torch::log_sigmoid(logits)).mean();
}

Loss make_bce(const Json& term) {
  std::string on = "student", label;
  Fields fields = term_fields(term);
  fields.read_choice("on", on, {"student", "teacher_click", "teacher_read"});
  fields.read_choice("label", label, {"click", "read"});
  fields.finish();
  return [on, label](const LossInputs& inputs) {
    const torch::Tensor logits = logit_of(inputs, on, "bce");
    return bce_with_logits(logits, label_of(inputs, label, "bce", logits));
  };
}

}  // namespace retort
