#include "retort/loss/inputs.h"

#include "retort/common/error.h"

namespace retort {

Fields term_fields(const Json& term) {
  Json recipe;
  recipe["terms"] = term;
  Fields fields(recipe, "terms");
  fields.sub("loss");
  fields.sub("weight");
  return fields;
}

torch::Tensor logit_of(const LossInputs& inputs, const std::string& name, const char* loss) {
  const torch::Tensor& logit = name == "student"         ? inputs.student
                               : name == "teacher_click" ? inputs.teacher_click
                                                         : inputs.teacher_read;
  if (!logit.defined())
    fail<ConfigError>("loss '{}' wants the logit '{}', which the recipe's models do not give{}",
                      loss, name, name == "student" ? "" : "; add a [teacher] that has this head");
  return logit;
}

torch::Tensor label_of(const LossInputs& inputs, const std::string& name, const char* loss,
                       const torch::Tensor& like) {
  const torch::Tensor& label = name == "click"  ? inputs.click
                               : name == "read" ? inputs.read
                                                : inputs.seconds;
  check(label.defined() && label.sizes() == like.sizes(),
        "loss '{}': {} values of '{}' for {} logits", loss, label.defined() ? label.numel() : 0,
        name, like.numel());
  return label.to(like.scalar_type());
}

}  // namespace retort
