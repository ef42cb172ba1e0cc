#include "retort/trainer/weight_rule.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "retort/common/error.h"
#include "retort/common/recipe.h"
#include "retort/common/text.h"

namespace retort {
namespace {

constexpr double kLeastWeight = 1e-3;  // of gradnorm, before weights are brought to their sum

class Fixed : public WeightRule {
 public:
  Fixed(size_t losses, const LossWeightOptions&) : losses_(losses) {}
  std::vector<double> weights() const override { return std::vector<double>(losses_, 1.0); }
  void update(std::span<const double>, std::span<const double>) override {}
  std::vector<double> state() const override { return {}; }
  void load_state(std::span<const double>) override {}

 private:
  size_t losses_;
};

class Uncertainty : public WeightRule {
 public:
  Uncertainty(size_t losses, const LossWeightOptions& options)
      : s_(losses, 0.0), adam_(losses, options.learning_rate) {}

  std::vector<double> weights() const override {
    std::vector<double> weights;
    for (const double s : s_) weights.push_back(std::exp(-s));
    return weights;
  }

  void update(std::span<const double> losses, std::span<const double>) override {
    std::vector<double> gradients;
    for (size_t k = 0; k < s_.size(); ++k) gradients.push_back(1 - std::exp(-s_[k]) * losses[k]);
    adam_.step(gradients, s_);
  }

  std::vector<double> state() const override {
    std::vector<double> state = s_;
    state.insert(state.end(), adam_.state().begin(), adam_.state().end());
    return state;
  }
  void load_state(std::span<const double> state) override {
    std::ranges::copy(state.first(s_.size()), s_.begin());
    std::ranges::copy(state.subspan(s_.size()), adam_.state().begin());
  }

 private:
  std::vector<double> s_;
  SmallAdam adam_;
};

class Dwa : public WeightRule {
 public:
  Dwa(size_t losses, const LossWeightOptions& options)
      : losses_(losses),
        temperature_(options.temperature),
        window_(options.window),
        state_(3 * losses + 1, 0.0) {}

  std::vector<double> weights() const override {
    std::vector<double> weights(losses_, 1.0);
    double sum = 0;
    for (size_t k = 0; k < losses_; ++k) {
      const double before = state_[losses_ + k], last = state_[k];
      if (!(before > 0)) return std::vector<double>(losses_, 1.0);
      sum += weights[k] = std::exp(last / before / temperature_);
    }
    for (double& weight : weights) weight *= static_cast<double>(losses_) / sum;
    return weights;
  }

  void update(std::span<const double> losses, std::span<const double>) override {
    double* sums = state_.data() + 2 * losses_;
    for (size_t k = 0; k < losses_; ++k) sums[k] += losses[k];
    if (++state_.back() < static_cast<double>(window_)) return;
    for (size_t k = 0; k < losses_; ++k) {
      state_[losses_ + k] = state_[k];
      state_[k] = sums[k] / static_cast<double>(window_);
      sums[k] = 0;
    }
    state_.back() = 0;
  }

  std::vector<double> state() const override { return state_; }
  void load_state(std::span<const double> state) override {
    std::ranges::copy(state, state_.begin());
  }

 private:
  size_t losses_;
  double temperature_;
  int64_t window_;
  std::vector<double> state_;  // means of the last window and of the one before, sums, their steps
};

class GradNorm : public WeightRule {
 public:
  GradNorm(size_t losses, const LossWeightOptions& options)
      : w_(losses, 1.0),
        first_(losses, 0.0),
        alpha_(options.alpha),
        every_(options.every),
        adam_(losses, options.learning_rate) {}

  std::vector<double> weights() const override { return w_; }
  bool wants_norms() const override { return w_.size() > 1 && steps_ % every_ == 0; }

  void update(std::span<const double> losses, std::span<const double> norms) override {
    if (steps_ == 0) std::ranges::copy(losses, first_.begin());
    if (wants_norms()) descend(losses, norms);
    ++steps_;
  }

  std::vector<double> state() const override {
    std::vector<double> state = w_;
    state.insert(state.end(), first_.begin(), first_.end());
    state.push_back(static_cast<double>(steps_));
    state.insert(state.end(), adam_.state().begin(), adam_.state().end());
    return state;
  }
  void load_state(std::span<const double> state) override {
    const size_t k = w_.size();
    std::ranges::copy(state.first(k), w_.begin());
    std::ranges::copy(state.subspan(k, k), first_.begin());
    steps_ = static_cast<int64_t>(state[2 * k]);
    std::ranges::copy(state.subspan(2 * k + 1), adam_.state().begin());
  }

 private:
  static double mean(std::span<const double> values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  }

  void descend(std::span<const double> losses, std::span<const double> norms) {
    std::vector<double> ratio, norm, gradients;
    for (size_t k = 0; k < w_.size(); ++k) {
      ratio.push_back(first_[k] > 0 ? std::max(losses[k], 0.0) / first_[k] : 1.0);
      norm.push_back(w_[k] * norms[k]);
    }
    const double mean_ratio = mean(ratio), mean_norm = mean(norm);
    for (size_t k = 0; k < w_.size(); ++k) {
      const double r = mean_ratio > 0 ? ratio[k] / mean_ratio : 1.0;
      const double apart = norm[k] - mean_norm * std::pow(r, alpha_);
      gradients.push_back(apart > 0 ? norms[k] : apart < 0 ? -norms[k] : 0.0);
    }
    adam_.step(gradients, w_);
    for (double& w : w_) w = std::max(w, kLeastWeight);
    const double scale = 1 / mean(w_);
    for (double& w : w_) w *= scale;
  }

  std::vector<double> w_, first_;  // first: losses of the first step
  double alpha_;
  int64_t every_, steps_ = 0;
  SmallAdam adam_;
};

template <class Rule>
std::unique_ptr<WeightRule> make(size_t losses, const LossWeightOptions& options) {
  return std::make_unique<Rule>(losses, options);
}

// Order does not matter.
constexpr auto kRules = std::to_array<WeightRuleEntry>({
    {"fixed", "every loss as much as its term's weight says", "DMTL eq. 9", &make<Fixed>},
    {"uncertainty", "e^-s of each loss, s learned", "Kendall et al., CVPR 2018",
     &make<Uncertainty>},
    {"dwa", "by how slowly each loss falls from window to window", "Liu et al., CVPR 2019",
     &make<Dwa>},
    {"gradnorm", "gradients of equal size, larger for losses that fall more slowly",
     "Chen et al., ICML 2018; DMMP, methods C4", &make<GradNorm>},
});

void check_above_0(const Fields& fields, const char* key, double value) {
  if (!(value > 0) || !std::isfinite(value))
    fail<ConfigError>("{}: a number above 0 is expected, not {}", fields.name(key), value);
}

}  // namespace

void SmallAdam::step(std::span<const double> gradients, std::span<double> values) {
  constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8;
  const size_t count = values.size();
  const double steps = ++moments_.back();
  for (size_t k = 0; k < count; ++k) {
    double &m = moments_[k], &v = moments_[count + k];
    m = kBeta1 * m + (1 - kBeta1) * gradients[k];
    v = kBeta2 * v + (1 - kBeta2) * gradients[k] * gradients[k];
    values[k] -= rate_ * (m / (1 - std::pow(kBeta1, steps))) /
                 (std::sqrt(v / (1 - std::pow(kBeta2, steps))) + kEpsilon);
  }
}

LossWeightOptions LossWeightOptions::read(const Json& recipe) {
  LossWeightOptions options;
  Fields fields(recipe, "loss_weights");
  fields.read("kind", options.kind);
  weight_rule_entry(options.kind);
  std::string scope = options.kind == "fixed" ? "per_network" : "total";
  fields.read_choice("scope", scope, {"per_network", "total"});
  options.total = scope == "total";
  fields.read("learning_rate", options.learning_rate);
  fields.read("network_learning_rate", options.network_rate);
  fields.read("alpha", options.alpha);
  fields.read("temperature", options.temperature);
  fields.read("every", options.every);
  fields.read("window", options.window);
  fields.finish();
  check_above_0(fields, "learning_rate", options.learning_rate);
  check_above_0(fields, "network_learning_rate", options.network_rate);
  check_above_0(fields, "temperature", options.temperature);
  check_above_0(fields, "every", static_cast<double>(options.every));
  check_above_0(fields, "window", static_cast<double>(options.window));
  if (!(options.alpha >= 0) || !std::isfinite(options.alpha))
    fail<ConfigError>("{}: 0 or more is expected, not {}", fields.name("alpha"), options.alpha);
  return options;
}

std::span<const WeightRuleEntry> loss_weight_rules() { return kRules; }

const WeightRuleEntry& weight_rule_entry(const std::string& name) {
  std::vector<std::string> known;
  for (const WeightRuleEntry& entry : kRules) {
    if (entry.name == name) return entry;
    known.emplace_back(entry.name);
  }
  const std::string near = nearest_name(name, known);
  fail<ConfigError>("recipe key 'loss_weights.kind': '{}' is unknown{}; known: {}", name,
                    near.empty() ? "" : ", did you mean '" + near + "'?", fmt::join(known, ", "));
}

}  // namespace retort
