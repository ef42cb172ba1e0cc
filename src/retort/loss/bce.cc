#include "retort/loss/bce.h"

#include "retort/common/error.h"
#include "retort/loss/inputs.h"

namespace retort {

torch::Tensor bce_with_logits(const torch::Tensor& logits, const torch::Tensor& labels) {
  // softplus(-x) = -log_sigmoid(x), exact for large |x| where softplus of this library switches to
  // a line; two terms, because (1 - y) x - log_sigmoid(x) cancels at small probabilities.
  return -(labels * torch::log_sigmoid(logits) + (1 - labels) * torch::log_sigmoid(-logits)).mean();
}

torch::Tensor known_bce(const torch::Tensor& logits, const torch::Tensor& labels) {
  const torch::Tensor known = labels.isnan().logical_not();
  const torch::Tensor y = torch::where(known, labels, torch::zeros_like(labels));
  const torch::Tensor rows =
      -(y * torch::log_sigmoid(logits) + (1 - y) * torch::log_sigmoid(-logits));
  return (rows * known).mean();
}

Loss make_bce(const Json& term) {
  std::string on = "student", label;
  Fields fields = term_fields(term);
  read_logit(fields, "on", on);
  read_label(fields, "label", label);
  fields.finish();
  const bool always_known = label == "click" || label == "read";
  return [on, label, always_known](const LossInputs& inputs) {
    const torch::Tensor logits = logit_of(inputs, on, "bce");
    const torch::Tensor labels = label_of(inputs, label, "bce", logits);
    return always_known ? bce_with_logits(logits, labels) : known_bce(logits, labels);
  };
}

}  // namespace retort
