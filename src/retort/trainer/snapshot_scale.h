// What a student's logit has to become before it is compared with the score of one snapshot of a
// ranking model: snapshots of a model that is retrained daily score on scales of their own.
#pragma once

#include <cstdint>
#include <string>

#include <torch/torch.h>

namespace retort {

/// x = exp(a_n) s + b_n with a_n, b_n learned for each snapshot n and logit, 0 at the start. A part
/// of training alone: what is published is s.
/// Source: RRA sec. 4.5.2 (the snapshot's id as a feature; its form is not stated).
/// Shapes: s [R] fp32, snapshots [R] int64, -1 = unknown, which has a row of its own.
struct SnapshotScale : torch::nn::Module {
  /// Snapshots 0 .. snapshots - 1.
  explicit SnapshotScale(int64_t snapshots) : snapshots(snapshots) {}
  /// Adds the parameters of a logit, `name`.a and `name`.b [snapshots + 1].
  void add(const std::string& name);
  /// Throws ArgumentError for a logit that was not added.
  torch::Tensor forward(const std::string& name, const torch::Tensor& s,
                        const torch::Tensor& snapshot);

  const int64_t snapshots;
};

}  // namespace retort
