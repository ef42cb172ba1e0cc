#include "retort/trainer/loss_weights.h"

#include <algorithm>
#include <cmath>

#include "retort/common/error.h"

namespace retort {

LossWeights::LossWeights(const LossWeightOptions& options, const std::vector<TermOptions>& terms)
    : adaptive_(options.kind != "fixed" || options.total), terms_(terms.size()) {
  Network teacher{"teacher", {}, nullptr}, student{"student", {}, nullptr};
  for (size_t i = 0; i < terms.size(); ++i)
    (terms[i].on_student() ? student : teacher).terms.push_back(i);
  for (Network* network : {&teacher, &student}) {
    if (network->terms.empty()) continue;
    network->rule = weight_rule_entry(options.kind).make(network->terms.size(), options);
    networks_.push_back(std::move(*network));
  }
  if (!options.total || networks_.size() < 2) return;
  LossWeightOptions across = options;
  across.learning_rate = options.network_rate;
  across_ = weight_rule_entry("uncertainty").make(networks_.size(), across);
}

std::vector<double> LossWeights::weights() const {
  std::vector<double> all(terms_, 1.0);
  const std::vector<double> outer =
      across_ ? across_->weights() : std::vector<double>(networks_.size(), 1.0);
  for (size_t n = 0; n < networks_.size(); ++n) {
    const std::vector<double> inner = networks_[n].rule->weights();
    for (size_t k = 0; k < inner.size(); ++k) all[networks_[n].terms[k]] = outer[n] * inner[k];
  }
  return all;
}

bool LossWeights::wants_norm(size_t term) const {
  return std::ranges::any_of(networks_, [&](const Network& network) {
    return network.rule->wants_norms() &&
           std::ranges::find(network.terms, term) != network.terms.end();
  });
}

void LossWeights::update(const std::vector<Seen>& terms) {
  std::vector<double> sums;
  for (Network& network : networks_) {
    if (!terms.at(network.terms.front()).active) continue;
    std::vector<double> losses, norms;
    for (const size_t term : network.terms) {
      losses.push_back(terms[term].loss);
      norms.push_back(terms[term].norm);
    }
    const std::vector<double> weights = network.rule->weights();
    double sum = 0;
    for (size_t k = 0; k < losses.size(); ++k) sum += weights[k] * losses[k];
    sums.push_back(sum);
    network.rule->update(losses, norms);
  }
  // One that learns alone has nothing to be weighed against.
  if (across_ && sums.size() == networks_.size()) across_->update(sums, {});
}

std::vector<std::pair<std::string, WeightRule*>> LossWeights::rules() const {
  std::vector<std::pair<std::string, WeightRule*>> rules;
  for (const Network& network : networks_) rules.emplace_back(network.name, network.rule.get());
  if (across_) rules.emplace_back("networks", across_.get());
  return rules;
}

NamedTensors LossWeights::state() const {
  NamedTensors tensors;
  for (const auto& [name, rule] : rules())
    if (const std::vector<double> state = rule->state(); !state.empty())
      tensors[name] = torch::tensor(state, torch::kFloat64);
  return tensors;
}

void LossWeights::load_state(const NamedTensors& tensors) {
  for (const auto& [name, rule] : rules()) {
    const size_t size = rule->state().size();
    if (size == 0) continue;
    const auto found = tensors.find(name);
    if (found == tensors.end() || found->second.numel() != static_cast<int64_t>(size))
      fail<DataError>("checkpoint: the state of the loss weights of '{}' is {}", name,
                      found == tensors.end() ? "missing" : "of another recipe");
    const torch::Tensor state = found->second.to(torch::kFloat64).contiguous();
    rule->load_state({state.data_ptr<double>(), size});
  }
}

double gradient_norm(const torch::Tensor& term, const std::vector<torch::Tensor>& weights) {
  const auto gradients = torch::autograd::grad({term}, weights, {}, /*retain_graph=*/true,
                                               /*create_graph=*/false, /*allow_unused=*/true);
  double squares = 0;
  for (const torch::Tensor& gradient : gradients)
    if (gradient.defined()) squares += gradient.to(torch::kFloat64).square().sum().item<double>();
  return std::sqrt(squares);
}

}  // namespace retort
