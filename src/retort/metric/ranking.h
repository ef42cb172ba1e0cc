// Metrics of ranked lists: of one relevant item by its rank (full-catalogue judging), and of a
// list with any number of relevant items.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "retort/metric/bootstrap.h"

namespace retort {

/// With one relevant item of rank `rank` (1 is best, 0 = not a candidate, which is a miss).
/// Recall@K: 1 if rank <= K. Source: hit rate, Deshpande & Karypis, TOIS 2004.
double recall_of_rank(int32_t rank, int32_t k);
/// NDCG@K: 1 / log2(1 + rank) if rank <= K. Source: Jarvelin & Kekalainen, TOIS 2002.
double ndcg_of_rank(int32_t rank, int32_t k);
/// Reciprocal rank, not cut. Source: Voorhees, TREC-8 1999.
double reciprocal_rank(int32_t rank);

/// WRecall@K of events with one relevant item each: sum of weight * hit over sum of weight, as a
/// ratio over users; its value() is the metric. An event of unknown weight (NaN) is left out.
/// Throws ArgumentError on a negative weight, sizes that differ or a user beyond `user_count`.
/// Source: RRA sec. 5.1.2 (the weight is the discovery-induced watching time).
/// @param ranks [events] as above  @param weights [events]  @param users [events]
UserRatio weighted_recall(std::span<const int32_t> ranks, std::span<const float> weights,
                          std::span<const int32_t> users, int64_t user_count, int32_t k);

/// What a user with no relevant item counts as: left out of the mean, or 0.
enum class EmptyUsers { kLeaveOut, kZero };

/// The recommendations and relevant items of one user. `ranked` is best first, without repeats;
/// it may be shorter than K. `relevant` is a set in any order.
struct RankedList {
  std::vector<int32_t> ranked;    // [N]
  std::vector<int32_t> relevant;  // [R]
};

/// Share of the relevant items among the first K; NaN without relevant items.
/// Source: Herlocker et al., TOIS 2004 (recall).
double recall_at(const RankedList& list, int32_t k);
/// DCG@K with binary gains over that of the best order of min(K, relevant) items; NaN without
/// relevant items. Source: Jarvelin & Kekalainen, TOIS 2002.
double ndcg_at(const RankedList& list, int32_t k);
/// 1 / position of the first relevant item, 0 if none is listed; NaN without relevant items.
double mrr_of(const RankedList& list);
/// Mean over users of one of the above; NaN if no user counts.
double mean_over_users(std::span<const double> values, EmptyUsers empty);

/// Distinct items among the first K of all lists, over the size of the catalogue.
/// Source: Ge et al., "Beyond accuracy", RecSys 2010 (catalogue coverage).
double coverage_at(std::span<const RankedList> lists, int32_t k, int64_t catalogue);

}  // namespace retort
