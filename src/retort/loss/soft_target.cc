#include "retort/loss/soft_target.h"

#include <algorithm>

#include "retort/common/error.h"
#include "retort/loss/distillation.h"
#include "retort/loss/inputs.h"

namespace retort {
namespace {

std::string logit_named(const std::string& name) {
  for (const char* prefix : {"teacher_", "mentor_", "scored_", "logged_"})
    if (name.starts_with(prefix)) return name;
  return "teacher_" + name;
}

}  // namespace

std::vector<std::string> target_names(const Json& target) {
  if (target.is_null()) return {"teacher_read"};
  if (target.is_string()) return {logit_named(target.get<std::string>())};
  std::vector<std::string> names;
  for (const auto& [name, weight] : target.items()) names.push_back(logit_named(name));
  return names;
}

SoftTarget SoftTarget::read(Fields& fields, const std::string& otherwise) {
  const Json given = fields.sub("target").is_null() ? Json(otherwise) : fields.sub("target");
  if (given.is_string() && !given.get<std::string>().empty()) return {target_names(given), {1}};
  SoftTarget target;
  double sum = 0;
  if (given.is_object())
    for (const auto& [name, weight] : given.items()) {
      if (!weight.is_number() || !(weight.get<double>() >= 0))
        fail<ConfigError>("{} = {}: a weight of 0 or more is expected",
                          fields.name("target." + name), weight.dump());
      target.names.push_back(logit_named(name));
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

torch::Tensor SoftTarget::of(const LossInputs& inputs, const char* loss) const {
  for (const std::string& name : names) logit_of(inputs, name, loss);
  return of(inputs.logits, loss);
}

torch::Tensor SoftTarget::of(const std::map<std::string, torch::Tensor>& logits,
                             const char* loss) const {
  std::vector<torch::Tensor> parts;
  for (const std::string& name : names) {
    const auto found = logits.find(name);
    if (found == logits.end())
      fail<ConfigError>("loss '{}' wants scores '{}', which there are not{}", loss, name,
                        remedy_of(name));
    parts.push_back(found->second);
  }
  return parts.size() == 1 && weights[0] == 1 ? parts[0] : fused_logit(parts, weights);
}

bool SoftTarget::may_be_unknown() const {
  return std::any_of(names.begin(), names.end(), [](const std::string& name) {
    return name.starts_with("scored_") || name.starts_with("logged_");
  });
}

}  // namespace retort
