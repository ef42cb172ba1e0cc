// The table of losses. A loss never samples and never owns weights; it sees logits and labels.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <torch/torch.h>

#include "retort/common/json.h"

namespace retort {

/// What a loss may look at; undefined tensors where a recipe has none. All [R] float.
struct LossInputs {
  torch::Tensor student;                   // s, the student's inner product
  torch::Tensor teacher_click;             // a
  torch::Tensor teacher_read_given_click;  // b
  torch::Tensor teacher_read;              // l, logit of pCTCVR
  torch::Tensor click, read, seconds;      // y, z, T
};

/// Mean over the batch, differentiable.
using Loss = std::function<torch::Tensor(const LossInputs&)>;

/// Source: as each entry says.
struct LossEntry {
  std::string_view name, summary, source;
  /// Options are the recipe's table of the term ("loss" and "weight" in it are the trainer's);
  /// throws ConfigError on an unknown key.
  Loss (*make)(const Json& options);
};
std::span<const LossEntry> losses();
/// Throws ConfigError listing the known names.
Loss make_loss(const std::string& name, const Json& options);

/// Whether a term of the recipe waits for the deviation of the training seconds: its loss is
/// "squared" with transform = "scaled" and no `scale` (or 0). The trainer then sets the term's
/// "scale" before make_loss, which refuses 0.
bool needs_seconds_deviation(const Json& term);

}  // namespace retort
