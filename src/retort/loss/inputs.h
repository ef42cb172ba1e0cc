// How losses find, by the names that recipes use, the logit and the label they are about.
#pragma once

#include <string>
#include <vector>

#include <torch/torch.h>

#include "retort/common/recipe.h"
#include "retort/loss/losses.h"

namespace retort {

/// The fields of a term, with the trainer's keys "loss", "weight" and "enabled" known. The path in
/// messages is "terms". Shapes: none; Source: docs/recipes.md.
Fields term_fields(const Json& term);

/// The logits that `on` of a term may name: those of the student, then those of the teacher.
const std::vector<std::string>& logit_names();
/// One of them, or "logged_click", "logged_dwm", "mentor_click", "mentor_dwm" [R]. Throws
/// ConfigError naming the loss if the recipe has no such logit.
torch::Tensor logit_of(const LossInputs& inputs, const std::string& name, const char* loss);
/// "click", "read", "seconds", "known", "reward" [R], of the type of `like`.
torch::Tensor label_of(const LossInputs& inputs, const std::string& name, const char* loss,
                       const torch::Tensor& like);

}  // namespace retort
