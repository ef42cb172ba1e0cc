// Metrics of catalogue ranks by the names that recipes use: what training chooses by.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "retort/dataset/dataset.h"
#include "retort/metric/catalogue.h"

namespace retort {

/// K of "recall@K" for `prefix` "recall"; 0 if `metric` is not of that form.
int32_t metric_k(const std::string& metric, const std::string& prefix);

/// Whether a metric is of every click (recall_click@K, wrecall@K) rather than of reads.
bool of_every_click(const std::string& metric);

/// recall@K, recall_click@K, ndcg@K or mrr as a mean over the ranked events, or over users where
/// the protocol has one list a user (ties: Ties::kMid); wrecall@K weighs each event by its seconds.
/// Throws DataError without events, or without known seconds to weigh by. Source: as
/// recall_of_rank, ndcg_of_rank, reciprocal_rank and weighted_recall (ranking.h) say. Shapes: ranks
/// [events]; the result is one number.
double rank_metric(const Dataset& dataset, const CatalogueRanks& ranks, const std::string& metric);

/// Position of the largest value; of equal ones that whose weight is nearest to 1/2, then the
/// first.
/// @param weights, values [n], n > 0
size_t best_weight(std::span<const double> weights, std::span<const double> values);

}  // namespace retort
