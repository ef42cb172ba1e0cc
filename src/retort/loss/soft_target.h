// What a student learns from: the logit of a ranking model, or several fused into one.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <torch/torch.h>

#include "retort/common/recipe.h"
#include "retort/loss/losses.h"

namespace retort {

/// The key "target" of a term: a logit's name, or a table of names and weights, whose
/// probabilities are fused as fused_logit does. A name without one of the prefixes teacher_,
/// mentor_, scored_, logged_ is a task of the teacher.
/// Source: methods D3. Shapes: as those logits, [R] or [P].
struct SoftTarget {
  std::vector<std::string> names;  // "teacher_read"
  std::vector<double> weights;

  /// `otherwise`: the task where the key is absent. Throws ConfigError naming the key.
  static SoftTarget read(Fields& fields, const std::string& otherwise);
  torch::Tensor of(const LossInputs& inputs, const char* loss) const;
  /// The same from logits by name.
  torch::Tensor of(const std::map<std::string, torch::Tensor>& logits, const char* loss) const;
  /// Some rows may have none (NaN): scores of a log or a file.
  bool may_be_unknown() const;
};

/// The logits that a term's "target" names, for checks; null: the default of kl_bernoulli.
std::vector<std::string> target_names(const Json& target);

}  // namespace retort
