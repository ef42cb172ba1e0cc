#include "retort/loss/negative_sets.h"

#include <array>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "retort/common/error.h"
#include "retort/common/text.h"
#include "retort/loss/catalogue_softmax.h"
#include "retort/nn/mixed_precision.h"

namespace retort {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

torch::Tensor all_logits(const torch::Tensor& users, const CatalogueInputs& catalogue,
                         const NegativeSet& set) {
  return torch::matmul(users, catalogue.items.t()) / set.temperature;
}

torch::Tensor own_logits(const torch::Tensor& logits, const torch::Tensor& targets) {
  return logits.gather(1, targets.unsqueeze(1));
}

/// -log softmax of the first column of [own, others].
torch::Tensor against(const torch::Tensor& own, const torch::Tensor& others) {
  return torch::logsumexp(torch::cat({own, others}, 1), 1) - own.squeeze(1);
}

torch::Tensor all(const torch::Tensor& users, const CatalogueInputs& catalogue,
                  const NegativeSet& set) {
  CatalogueTargets targets;
  targets.targets = catalogue.targets;
  targets.temperature = set.temperature;
  const Precision precision = MixedPrecision::active() ? Precision::kBf16 : Precision::kFp32;
  if (users.scalar_type() != torch::kFloat32)
    return catalogue_softmax_by_ops(users, catalogue.items, targets);
  return catalogue_softmax(users, catalogue.items, targets, precision);
}

torch::Tensor uniform(const torch::Tensor& users, const CatalogueInputs& catalogue,
                      const NegativeSet& set) {
  const torch::Tensor logits = all_logits(users, catalogue, set);
  const torch::Tensor drawn =
      draw_uniform(catalogue.targets, catalogue.items.size(0), set.count, catalogue.draws);
  return against(own_logits(logits, catalogue.targets), logits.gather(1, drawn));
}

/// Items of the batch's other rows; those equal to the row's own are accidental hits.
torch::Tensor batch_softmax(const torch::Tensor& users, const CatalogueInputs& catalogue,
                            const NegativeSet& set, bool correct) {
  const auto rows_of = [&](const torch::Tensor& x, const torch::Tensor& at) {
    return x.index_select(0, at);
  };
  torch::Tensor own = (users * rows_of(catalogue.items, catalogue.targets)).sum(1);
  torch::Tensor others = torch::matmul(users, rows_of(catalogue.items, catalogue.shown).t());
  own = own / set.temperature;
  others = others / set.temperature;
  if (correct) {
    const torch::Tensor& log_q =
        set.log_q == "streaming" ? catalogue.streaming_log_q : catalogue.log_q;
    own = own - rows_of(log_q, catalogue.targets);
    others = others - rows_of(log_q, catalogue.shown);
  }
  const auto item_of = [&](const torch::Tensor& places) {
    return catalogue.item_of_row.defined() ? rows_of(catalogue.item_of_row, places) : places;
  };
  const torch::Tensor same =
      item_of(catalogue.targets).unsqueeze(1) == item_of(catalogue.shown).unsqueeze(0);
  return against(own.unsqueeze(1), others.masked_fill(same, kNever));
}

torch::Tensor batch(const torch::Tensor& users, const CatalogueInputs& catalogue,
                    const NegativeSet& set) {
  return batch_softmax(users, catalogue, set, false);
}

torch::Tensor batch_corrected(const torch::Tensor& users, const CatalogueInputs& catalogue,
                              const NegativeSet& set) {
  return batch_softmax(users, catalogue, set, true);
}

/// Logits of the negatives ranked [low, high), the target left out. [R, window]
torch::Tensor window_of(const torch::Tensor& logits, const torch::Tensor& targets,
                        const NegativeSet& set) {
  const int64_t negatives = logits.size(1) - 1, last = std::min(set.high - 1, negatives);
  if (set.low > last)
    fail<ConfigError>("negatives.low: rank {} is beyond the {} negatives of the catalogue", set.low,
                      negatives);
  const torch::Tensor ranked = std::get<1>(
      logits.detach().scatter(1, targets.unsqueeze(1), kNever).topk(last, 1, true, true));
  return logits.gather(1, ranked.narrow(1, set.low - 1, last - set.low + 1));
}

torch::Tensor hard(const torch::Tensor& users, const CatalogueInputs& catalogue,
                   const NegativeSet& set) {
  const torch::Tensor logits = all_logits(users, catalogue, set);
  return against(own_logits(logits, catalogue.targets), window_of(logits, catalogue.targets, set));
}

torch::Tensor mixed(const torch::Tensor& users, const CatalogueInputs& catalogue,
                    const NegativeSet& set) {
  const torch::Tensor logits = all_logits(users, catalogue, set);
  const torch::Tensor twice = torch::cat({logits, window_of(logits, catalogue.targets, set)}, 1);
  return torch::logsumexp(twice, 1) - own_logits(logits, catalogue.targets).squeeze(1);
}

// Order does not matter.
constexpr auto kSets = std::to_array<NegativeSetEntry>({
    {"all", "every other candidate, never holding the logits", "RRA table 4, AN", &all},
    {"uniform", "`count` others drawn uniformly without replacement", "RRA table 4, RN", &uniform},
    {"batch", "items of the batch's other rows", "RRA table 4, BN", &batch},
    {"batch_corrected", "the same, every logit less the log of the item's share of impressions",
     "RRA table 4, BNC; Yi et al., RecSys 2019", &batch_corrected},
    {"hard", "negatives ranked [low, high) by the model itself", "RRA table 4, HN", &hard},
    {"mixed", "all, and those ranked [low, high) once more", "RRA table 4, MN", &mixed},
});

}  // namespace

std::span<const NegativeSetEntry> negative_sets() { return kSets; }

const NegativeSetEntry& negative_set(const std::string& kind) {
  std::vector<std::string> known;
  for (const NegativeSetEntry& entry : kSets) {
    if (entry.name == kind) return entry;
    known.emplace_back(entry.name);
  }
  const std::string near = nearest_name(kind, known);
  fail<ConfigError>("negatives '{}' are unknown{}; known: {}", kind,
                    near.empty() ? "" : ", did you mean '" + near + "'?", fmt::join(known, ", "));
}

torch::Tensor draw_uniform(const torch::Tensor& targets, int64_t items, int64_t n, const Rng& rng) {
  if (n >= items)
    fail<ConfigError>("negatives.count: {} different negatives of a catalogue of {} items", n,
                      items);
  const torch::Tensor own = targets.cpu().contiguous();
  torch::Tensor drawn = torch::empty({own.size(0), n}, torch::kInt64);
  auto* to = drawn.data_ptr<int64_t>();
  std::vector<int64_t> others(static_cast<size_t>(items - 1));  // whatever order, all of them
  std::iota(others.begin(), others.end(), 0);
  for (int64_t row = 0; row < own.size(0); ++row) {
    const Rng of_row = rng.fork(static_cast<uint64_t>(row));
    const int64_t target = own.data_ptr<int64_t>()[row];
    // The first n places of a shuffle; the swaps go back afterwards, so that a row's draws do not
    // depend on the rows before it.
    std::vector<size_t> swapped;
    for (int64_t k = 0; k < n; ++k) {
      const auto at = static_cast<size_t>(k);
      swapped.push_back(at + of_row.below(others.size() - at, static_cast<uint64_t>(k)));
      std::swap(others[at], others[swapped.back()]);
      *to++ = others[at] + (others[at] >= target ? 1 : 0);
    }
    for (size_t at = swapped.size(); at-- > 0;) std::swap(others[at], others[swapped[at]]);
  }
  return drawn.to(targets.device());
}

}  // namespace retort
