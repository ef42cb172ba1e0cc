// The table of rules that weigh several losses against each other while they are learned.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "retort/common/json.h"

namespace retort {

/// The recipe's table [loss_weights].
struct LossWeightOptions {
  std::string kind = "fixed";    // loss_weight_rules()
  bool total = false;            // scope: total | per_network
  double learning_rate = 0.025;  // of the weights themselves
  double network_rate = 0.001;   // of the two networks' weights, scope "total"
  double alpha = 1.5;            // gradnorm: strength of the pull
  double temperature = 2;        // dwa
  int64_t every = 10;            // gradnorm: steps between two looks at the gradients
  int64_t window = 100;          // dwa: steps that a loss is averaged over

  /// Throws ConfigError naming the key.
  static LossWeightOptions read(const Json& recipe);
};

/// Adam for a few numbers. Source: Kingma & Ba, ICLR 2015, with its constants.
class SmallAdam {
 public:
  SmallAdam(size_t count, double rate) : rate_(rate), moments_(2 * count + 1) {}
  /// values -= step along `gradients`.
  void step(std::span<const double> gradients, std::span<double> values);
  std::span<double> state() { return moments_; }
  std::span<const double> state() const { return moments_; }

 private:
  double rate_;
  std::vector<double> moments_;  // m, v, steps
};

/// Weights w_k of K losses L_k, 1 at the start; what counts is the sum of w_k L_k. Everything it
/// has learned is in state(), so that a run resumes bit by bit.
class WeightRule {
 public:
  virtual ~WeightRule() = default;
  virtual std::vector<double> weights() const = 0;
  /// Whether the next update() is to have norms.
  virtual bool wants_norms() const { return false; }
  /// After each step. `losses`: L_k of the step, unweighted; `norms`: of d L_k / d W, W the weights
  /// that all of them depend on, where they were asked for.
  virtual void update(std::span<const double> losses, std::span<const double> norms) = 0;
  /// Of fixed length; load_state takes what state gave.
  virtual std::vector<double> state() const = 0;
  virtual void load_state(std::span<const double> state) = 0;
};

struct WeightRuleEntry {
  std::string_view name, summary, source;
  std::unique_ptr<WeightRule> (*make)(size_t losses, const LossWeightOptions& options);
};
/// fixed: 1.
/// uncertainty: w_k = e^-s_k with s_k minimising e^-s_k L_k + s_k.
/// dwa: w_k = K softmax_k(r_k / temperature), r_k the ratio of L_k's means over the last two
/// windows
///   (the paper's are epochs); 1 until there are two.
/// gradnorm: with G_k = w_k |d L_k / d W|, r_k = (L_k / L_k of the first step) / their mean, w
///   descends sum_k |G_k - sg(mean(G) r_k^alpha)|, stays above 0 and sums to K.
/// Source: Kendall et al., CVPR 2018, eq. 7 (of classifications); Liu et al., CVPR 2019, eq. 7;
/// Chen et al., ICML 2018, eq. 2 and algorithm 1; methods C4.
std::span<const WeightRuleEntry> loss_weight_rules();
/// Throws ConfigError naming the nearest.
const WeightRuleEntry& weight_rule_entry(const std::string& name);

}  // namespace retort
