#include "retort/loss/inputs.h"

#include <map>

#include "retort/common/error.h"

namespace retort {

Fields term_fields(const Json& term) {
  Json recipe;
  recipe["terms"] = term;
  Fields fields(recipe, "terms");
  fields.sub("loss");
  fields.sub("weight");
  fields.sub("enabled");
  return fields;
}

const std::vector<std::string>& logit_names() {
  static const std::vector<std::string> kNames{"student",       "student_click", "student_dwm",
                                               "teacher_click", "teacher_read",  "teacher_dwm"};
  return kNames;
}

torch::Tensor logit_of(const LossInputs& inputs, const std::string& name, const char* loss) {
  const std::map<std::string, const torch::Tensor*> logits{
      {"student", &inputs.student},           {"student_click", &inputs.student_click},
      {"student_dwm", &inputs.student_dwm},   {"teacher_click", &inputs.teacher_click},
      {"teacher_read", &inputs.teacher_read}, {"teacher_dwm", &inputs.teacher_dwm},
      {"logged_click", &inputs.logged_click}, {"logged_dwm", &inputs.logged_dwm},
      {"mentor_click", &inputs.mentor_click}, {"mentor_dwm", &inputs.mentor_dwm}};
  const torch::Tensor& logit = *logits.at(name);
  if (logit.defined()) return logit;
  const char* remedy = name.starts_with("teacher") ? "; add a [teacher] that has this head"
                       : name.starts_with("mentor")
                           ? "; name a run with a ranking model by distill.run"
                       : name.starts_with("logged") ? "; the dataset has no logged scores, or rows "
                                                      "are not impressions ([train] rows)"
                       : name == "student"          ? ""
                                                    : "; use student.kind = \"multi_task\"";
  fail<ConfigError>("loss '{}' wants the logit '{}', which the recipe's models do not give{}", loss,
                    name, remedy);
}

torch::Tensor label_of(const LossInputs& inputs, const std::string& name, const char* loss,
                       const torch::Tensor& like) {
  const std::map<std::string, const torch::Tensor*> labels{{"click", &inputs.click},
                                                           {"read", &inputs.read},
                                                           {"seconds", &inputs.seconds},
                                                           {"known", &inputs.known},
                                                           {"reward", &inputs.reward}};
  const torch::Tensor& label = *labels.at(name);
  check(label.defined() && label.sizes() == like.sizes(),
        "loss '{}': {} values of '{}' for {} logits", loss, label.defined() ? label.numel() : 0,
        name, like.numel());
  return label.to(like.scalar_type());
}

}  // namespace retort
