// How much each term of a recipe counts in a step: the rule of [loss_weights], a network at a time,
// and the networks against each other.
#pragma once

#include <memory>
#include <vector>

#include <torch/torch.h>

#include "retort/trainer/checkpoint.h"
#include "retort/trainer/train_recipe.h"

namespace retort {

/// Teacher and student share no weights, so that no gradients of theirs can be compared: a rule
/// weighs the terms of each by themselves. With scope "total" what is minimised is e^-s_T L_T + s_T
/// + e^-s_S L_S + s_S, L_T and L_S the weighted sums, s learned; a network that learns alone has
/// none. A term's own `weight` in the recipe multiplies its loss before any of this.
/// Source: methods C4. Shapes: numbers a term, in the recipe's order.
class LossWeights {
 public:
  LossWeights(const LossWeightOptions& options, const std::vector<TermOptions>& terms);
  /// Anything but 1 for ever.
  bool adaptive() const { return adaptive_; }
  std::vector<double> weights() const;

  /// What a step has shown of a term.
  struct Seen {
    bool active = false;  // it was of the phase
    double loss = 0;      // with the recipe's weight
    double norm = 0;      // of its gradient, where wants_norm
  };
  /// Whether update() is to have the norm of this term's gradient after the step.
  bool wants_norm(size_t term) const;
  void update(const std::vector<Seen>& terms);

  /// By name, float64; as load_state takes it back. Throws DataError if something is missing.
  NamedTensors state() const;
  void load_state(const NamedTensors& state);

 private:
  struct Network {
    std::string name;
    std::vector<size_t> terms;
    std::unique_ptr<WeightRule> rule;
  };
  std::vector<std::pair<std::string, WeightRule*>> rules() const;

  bool adaptive_;
  std::vector<Network> networks_;       // those that have terms
  std::unique_ptr<WeightRule> across_;  // of the networks; none with scope "per_network"
  size_t terms_ = 0;
};

/// |d term / d W| of each wanted one, by autograd, the graph kept; 0 where W has no part in it.
/// @param term scalar   @param weights W, several tensors as one vector
double gradient_norm(const torch::Tensor& term, const std::vector<torch::Tensor>& weights);

}  // namespace retort
