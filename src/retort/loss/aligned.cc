#include "retort/loss/aligned.h"

#include "retort/common/error.h"
#include "retort/loss/inputs.h"

namespace retort {

torch::Tensor weighted_bce(const torch::Tensor& logits, const torch::Tensor& clicks,
                           const torch::Tensor& reward, const torch::Tensor& known) {
  const torch::Tensor rows =
      -(clicks * reward * torch::log_sigmoid(logits) + (1 - clicks) * torch::log_sigmoid(-logits));
  return (known * rows).sum() / known.sum().clamp_min(1);
}

torch::Tensor soft_bce(const torch::Tensor& target, const torch::Tensor& student, bool detach) {
  const torch::Tensor given = detach ? target.detach() : target;
  const torch::Tensor counts = given.isnan().logical_not();
  const torch::Tensor t = torch::where(counts, given, torch::zeros_like(given));
  const torch::Tensor rows = -(torch::sigmoid(t) * torch::log_sigmoid(student) +
                               torch::sigmoid(-t) * torch::log_sigmoid(-student));
  return (rows * counts).sum() / counts.sum().clamp_min(1);
}

Loss make_weighted_bce(const Json& term) {
  std::string on = "student";
  Fields fields = term_fields(term);
  read_logit(fields, "on", on);
  fields.finish();
  return [on](const LossInputs& inputs) {
    const torch::Tensor logits = logit_of(inputs, on, "weighted_bce");
    return weighted_bce(logits, label_of(inputs, "click", "weighted_bce", logits),
                        label_of(inputs, "reward", "weighted_bce", logits),
                        label_of(inputs, "known", "weighted_bce", logits));
  };
}

Loss make_soft_bce(const Json& term) {
  std::string on = "student", target = "teacher_click";
  bool detach = true, per_snapshot = false;
  Fields fields = term_fields(term);
  read_student_logit(fields, on);
  fields.read("target", target);
  if (!target.starts_with("teacher_") && !target.starts_with("mentor_") &&
      !target.starts_with("scored_") && target != "logged_click" && target != "logged_dwm")
    fail<ConfigError>(
        "{} = '{}': teacher_TASK, mentor_TASK, scored_NAME, logged_click or logged_dwm is expected",
        fields.name("target"), target);
  fields.read("detach", detach);
  fields.read("per_snapshot", per_snapshot);
  fields.finish();
  if (per_snapshot && !target.starts_with("logged_") && !target.starts_with("scored_"))
    fail<ConfigError>("{}: only logged and stored scores have snapshots, not '{}'",
                      fields.name("per_snapshot"), target);
  if (per_snapshot) on += kPerSnapshot;
  return [on, target, detach](const LossInputs& inputs) {
    return soft_bce(logit_of(inputs, target, "soft_bce"), logit_of(inputs, on, "soft_bce"), detach);
  };
}

}  // namespace retort
