// One list of recommendations a user, in which all items of his judged events are relevant: where
// they stand, and the metrics of such lists. Used where the dataset's protocol has lists = "user".
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "retort/dataset/dataset.h"
#include "retort/metric/bootstrap.h"
#include "retort/metric/catalogue.h"

namespace retort {

struct UserList {
  int32_t user = 0;
  int64_t relevant = 0;            // R > 0 different items, misses included
  std::vector<int32_t> positions;  // of those that are in the list, ascending, each its own; from 1
};

/// Positions of a user's items from their ranks, each counted against all others: items of equal
/// rank stand side by side in the middle of their equals, before or behind them as `ties` says.
/// 0 (a miss) has none. @param ranks [R]   @return ascending, at most [R]
std::vector<int32_t> list_positions(std::span<const int32_t> ranks, Ties ties);

/// The lists of the users that `ranks` has events of, by user; an item that a user clicked twice is
/// one. `reads_only`: of the events that were read.
std::vector<UserList> user_lists(const Dataset& dataset, const CatalogueRanks& ranks, Ties ties,
                                 bool reads_only);

/// Share of the relevant items among the first K.
/// Source: Herlocker et al., TOIS 2004; as published figures of implicit-feedback models have it
/// (He et al., LightGCN, SIGIR 2020).
double recall_of_list(const UserList& list, int32_t k);
/// DCG@K with binary gains over that of the best order of min(K, R) items.
/// Source: Jarvelin & Kekalainen, TOIS 2002.
double ndcg_of_list(const UserList& list, int32_t k);
/// 1 / the first position, 0 without one; K is not used. Source: Voorhees, TREC-8 1999.
double mrr_of_list(const UserList& list, int32_t k);

/// A metric of one relevant item by its rank, and of a user's list.
struct RankValue {
  double (*of_event)(int32_t rank, int32_t k);
  double (*of_list)(const UserList& list, int32_t k);
};
RankValue recall_value();
RankValue ndcg_value();
RankValue mrr_value();

/// The metric's mean over events, or over users where the protocol has one list a user, as sums
/// over users. `number_of_user` [users of the dataset]: the place of each among `users`.
UserRatio rank_ratio(const Dataset& dataset, const CatalogueRanks& ranks, const RankValue& value,
                     int32_t k, bool reads_only, Ties ties, std::span<const int32_t> number_of_user,
                     int64_t users);

}  // namespace retort
