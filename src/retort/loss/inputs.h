// How losses find, by the names that recipes use, the logit and the label they are about.
#pragma once

#include <string>

#include <torch/torch.h>

#include "retort/common/recipe.h"
#include "retort/loss/losses.h"

namespace retort {

/// The fields of a term, with the trainer's keys "loss", "weight" and "enabled" known. The path in
/// messages is "terms". Shapes: none; Source: docs/recipes.md.
Fields term_fields(const Json& term);

/// Reads the name of a logit that learns: "student", "student_<task>" or "teacher_<output>".
/// Whether the recipe's models give it is for them to say. Throws ConfigError naming the key.
void read_logit(Fields& fields, const std::string& key, std::string& name);
/// The key "on" of losses that only a student can learn from.
void read_student_logit(Fields& fields, std::string& name);
/// Reads the name of a yes-or-no label: click, read, a label of the dataset or a task. Throws
/// ConfigError naming the key where it is missing or none.
void read_label(Fields& fields, const std::string& key, std::string& name);
/// "; .." and what to do about a logit that the recipe does not have.
std::string remedy_of(const std::string& logit);
/// A logit [R]. Throws ConfigError naming the loss if the recipe has no such logit.
torch::Tensor logit_of(const LossInputs& inputs, const std::string& name, const char* loss);
/// A label [R], of the type of `like`. Throws ConfigError naming the loss if there is none.
torch::Tensor label_of(const LossInputs& inputs, const std::string& name, const char* loss,
                       const torch::Tensor& like);

}  // namespace retort
