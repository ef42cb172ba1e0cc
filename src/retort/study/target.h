// What to distil: the weights of a ranking model's probabilities in one fused score, chosen by what
// that score recalls on validation.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "retort/dataset/dataset.h"
#include "retort/metric/catalogue.h"
#include "retort/metric/towers.h"

namespace retort {

struct TargetOptions {
  std::vector<std::string> logits{"click", "read_given_click"};  // two or more of the ranking model
  int32_t steps = 4;  // weights tried: all multiples of 1 / steps of sum 1, the range of a softmax
  std::string metric = "wrecall@100";  // recall@K | recall_click@K | wrecall@K | ndcg@K | mrr
  CatalogueOptions catalogue{};        // split, limit, candidates
};

struct TargetChoice {
  std::vector<std::vector<double>> tried;  // [grid][logits], the largest weight is 1
  std::vector<double> values;              // [grid] of the metric
  size_t best = 0;                         // of equals the one with the most even weights
};

/// Ranks the candidates of every event by sum_k w_k log sigmoid(z_k) for every w tried. The ranking
/// model is asked once for each event, candidate and logit; the answers are kept in memory (4 bytes
/// each), so that `catalogue.limit` is the bound. Throws ConfigError for a metric that is none or
/// fewer than two logits.
/// Source: methods D3b (learned fusion); DMTL, sec. 5. Shapes: as TargetChoice says.
TargetChoice choose_target(const Dataset& dataset, const PairScorer& ranker, TargetOptions options);

/// "{ click = 1, read_given_click = 0.5 }", as a term's `target` has it.
std::string target_text(const std::vector<std::string>& logits, const std::vector<double>& weights);

}  // namespace retort
