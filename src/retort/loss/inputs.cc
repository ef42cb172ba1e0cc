#include "retort/loss/inputs.h"

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

void read_logit(Fields& fields, const std::string& key, std::string& name) {
  fields.read(key, name);
  if (name == "student" || (name.starts_with("student_") && name.size() > 8) ||
      (name.starts_with("teacher_") && name.size() > 8))
    return;
  fail<ConfigError>("{} = '{}': student, student_TASK or teacher_TASK is expected",
                    fields.name(key), name);
}

void read_student_logit(Fields& fields, std::string& name) {
  read_logit(fields, "on", name);
  if (!name.starts_with("student"))
    fail<ConfigError>("{} = '{}': a logit of the student is expected", fields.name("on"), name);
}

void read_label(Fields& fields, const std::string& key, std::string& name) {
  fields.read(key, name);
  if (!name.empty() && name != "seconds" && name != "known" && name != "reward") return;
  fail<ConfigError>("{} = '{}': click, read, a label of the dataset or a task is expected",
                    fields.name(key), name);
}

namespace {

std::string names_of(const std::map<std::string, torch::Tensor>& map) {
  std::string names;
  for (const auto& [name, tensor] : map) names += (names.empty() ? "" : ", ") + name;
  return names.empty() ? "none" : names;
}

}  // namespace

std::string remedy_of(const std::string& logit) {
  if (logit == "student") return "";
  if (logit.starts_with("teacher")) return "; add a [teacher] that has this head";
  if (logit.starts_with("mentor")) return "; name a run with a ranking model by distill.run";
  if (logit.starts_with("scored"))
    return "; give [scores] a file that has it (`retort score`), or kind = \"snapshot\"";
  if (logit.starts_with("logged"))
    return "; the dataset has no logged scores, or rows are not impressions ([train] rows)";
  return "; name it in student.tasks of a student of kind multi_task or three_tower";
}

torch::Tensor logit_of(const LossInputs& inputs, const std::string& name, const char* loss) {
  const auto found = inputs.logits.find(name);
  if (found != inputs.logits.end()) return found->second;
  fail<ConfigError>(
      "loss '{}' wants the logit '{}', which the recipe's models do not give (they give {}){}",
      loss, name, names_of(inputs.logits), remedy_of(name));
}

torch::Tensor label_of(const LossInputs& inputs, const std::string& name, const char* loss,
                       const torch::Tensor& like) {
  const auto found = inputs.labels.find(name);
  if (found == inputs.labels.end())
    fail<ConfigError>("loss '{}' wants the label '{}', which is none of: {}", loss, name,
                      names_of(inputs.labels));
  check(found->second.sizes() == like.sizes(), "loss '{}': {} values of '{}' for {} logits", loss,
        found->second.numel(), name, like.numel());
  return found->second.to(like.scalar_type());
}

}  // namespace retort
