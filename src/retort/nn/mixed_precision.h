// Where training computes in bf16: a guard around the step, as autocast is in PyTorch. Layers read
// it and choose their path; weights, gradients of weights, losses and optimizers stay fp32.
#pragma once

namespace retort {

/// While it lives, layers of this thread compute in bf16 if `on`. Scores for judging are made
/// outside of it, in fp32. Source: Micikevicius et al., Mixed Precision Training, ICLR 2018.
class MixedPrecision {
 public:
  explicit MixedPrecision(bool on);
  ~MixedPrecision();
  MixedPrecision(const MixedPrecision&) = delete;
  MixedPrecision& operator=(const MixedPrecision&) = delete;
  static bool active();

  /// A layer's input held a value that is not finite. The ReLU of fused products turns NaN into 0,
  /// so that the loss would not tell; whoever holds the guard asks.
  static void report_nonfinite();
  bool finite() const;

 private:
  bool before_, finite_before_;
};

}  // namespace retort
