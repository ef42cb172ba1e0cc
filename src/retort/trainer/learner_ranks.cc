// A learner's step where several ranks make it together.
#include <cmath>

#include "retort/common/error.h"
#include "retort/common/progress.h"
#include "retort/nn/mixed_precision.h"
#include "retort/trainer/learner.h"

namespace retort {

void Learner::set_phase(Phase phase, Ranks* ranks) {
  phase_ = phase;
  ranks_ = ranks;
  exchange_.reset();
  if (ranks == nullptr || ranks->alone()) return;
  for (const TermOptions& term : terms_)
    if (loss_entry(term.loss).needs.whole_batch)
      fail<ConfigError>(
          "loss '{}' is a mean over rows that only the whole batch knows; train it with one "
          "process",
          term.loss);
  if (snapshot_optimizer_ != nullptr)
    fail<ConfigError>("a term's per_snapshot is trained with one process");
  if (loss_weights_.adaptive())
    fail<ConfigError>(
        "recipe key 'loss_weights': weights that change with the losses are trained with one "
        "process; set loss_weights.kind = \"fixed\" and scope = \"per_network\"");
  std::vector<torch::nn::Module*> modules;
  if (teacher_ != nullptr && phase != Phase::kStudent) modules.push_back(teacher_.get());
  if (phase != Phase::kTeacher) modules.push_back(student_.get());
  exchange_ = std::make_unique<GradientExchange>(*ranks, modules);
}

bool Learner::asked_to_stop() const {
  return exchange_ != nullptr ? peer_asked_to_stop_ : interrupted();
}

// A rank's mean loss counts by its share of the rows, so that the sum over the ranks is the mean
// over the whole batch, and so for gradients. A rank without rows takes part with zeros.
LossValues Learner::step_with_peers(const Batch& batch, int64_t step, int64_t whole_rows) {
  const MixedPrecision guard(bf16_);
  const double share = static_cast<double>(batch.rows()) / static_cast<double>(whole_rows);
  Outputs outputs;
  LossValues own;
  own.terms.resize(terms_.size());
  if (batch.rows() > 0) {
    outputs = forward(batch, false, step);
    own = values_of(outputs);
  }
  const bool refused = !std::isfinite(own.total) || !guard.finite();
  std::vector<double> sums{refused ? 1.0 : 0.0, interrupted() ? 1.0 : 0.0};
  for (const double term : own.terms) sums.push_back(share * term);
  exchange_->begin();
  if (batch.rows() > 0 && !refused) (outputs.total * share).backward();
  sums = exchange_->finish(sums);
  peer_asked_to_stop_ = sums[1] > 0;
  if (sums[0] > 0) fail<Error>("{}", ranks_->first_text(refused ? refusal(batch, own, step) : ""));
  update_weights();
  LossValues values;
  for (size_t i = 0; i < terms_.size(); ++i) {
    values.terms.push_back(sums[i + 2]);
    values.total += terms_[i].weight * values.terms.back();
  }
  return values;
}

}  // namespace retort
