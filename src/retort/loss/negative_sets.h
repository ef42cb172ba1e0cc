// Which items stand beside the clicked one in a softmax: the negative strategies of RRA.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include <torch/torch.h>

#include "retort/loss/losses.h"

namespace retort {

/// What the entries are made from; those that an entry does not use are left alone.
struct NegativeSet {
  std::string kind = "all";
  int64_t count = 100;            // uniform: n
  int64_t low = 100, high = 200;  // hard, mixed: ranks [low, high), the best negative has rank 1
  std::string log_q = "counts";   // batch_corrected: counts | streaming
  double temperature = 1;         // logits are divided by it
};

/// Row r: -log softmax over {target} and the set N(r), of logits <users[r], items[j]> /
/// temperature. Source: RRA sec. 5.3.3, table 4; methods B6 (the exact sets); batch_corrected: Yi
/// et al., RecSys 2019. All but "all" hold logits [R, N] (batch: [R, R]).
/// @param users [R, D]   @param catalogue targets must not be -1   @return [R], differentiable
using SetLoss = torch::Tensor (*)(const torch::Tensor& users, const CatalogueInputs& catalogue,
                                  const NegativeSet& set);
struct NegativeSetEntry {
  std::string_view name, summary, source;
  SetLoss loss;
};
/// all, uniform, batch, batch_corrected, hard, mixed.
std::span<const NegativeSetEntry> negative_sets();
/// Throws ConfigError listing the known kinds.
const NegativeSetEntry& negative_set(const std::string& kind);

/// n different items of N beside the target, uniformly, by row: draws of (rng, row).
/// @param targets [R] int64   @return [R, n] int64
torch::Tensor draw_uniform(const torch::Tensor& targets, int64_t items, int64_t n, const Rng& rng);

}  // namespace retort
