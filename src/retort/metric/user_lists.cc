#include "retort/metric/user_lists.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "retort/common/error.h"
#include "retort/metric/ranking.h"

namespace retort {
namespace {

double gain_at(int64_t position) { return 1.0 / std::log2(1.0 + static_cast<double>(position)); }

double mrr_of_event(int32_t rank, int32_t) { return reciprocal_rank(rank); }

int64_t hits(const UserList& list, int32_t k) {
  check(k > 0 && list.relevant > 0, "a metric at K needs K and relevant items, not {} and {}", k,
        list.relevant);
  return std::upper_bound(list.positions.begin(), list.positions.end(), k) - list.positions.begin();
}

}  // namespace

std::vector<int32_t> list_positions(std::span<const int32_t> ranks, Ties ties) {
  std::map<int32_t, int32_t> items_of_rank;
  for (const int32_t rank : ranks)
    if (rank > 0) ++items_of_rank[rank];
  std::vector<int32_t> positions;
  for (const auto& [rank, items] : items_of_rank) {
    const int32_t ahead = ties == Ties::kBest    ? 0
                          : ties == Ties::kWorst ? items - 1
                                                 : (items - 1) / 2;
    for (int32_t at = 0; at < items; ++at) positions.push_back(rank - ahead + at);
  }
  return positions;
}

std::vector<UserList> user_lists(const Dataset& dataset, const CatalogueRanks& ranks, Ties ties,
                                 bool reads_only) {
  const Clicks& clicks = dataset.clicks();
  std::vector<UserList> lists;
  std::map<int32_t, int32_t> rank_of_item;
  const auto finish = [&](int32_t user) {
    if (rank_of_item.empty()) return;
    std::vector<int32_t> of_user;
    for (const auto& [item, rank] : rank_of_item) of_user.push_back(rank);
    lists.push_back({user, std::ssize(of_user), list_positions(of_user, ties)});
    rank_of_item.clear();
  };
  int32_t user = -1;
  for (size_t event = 0; event < ranks.click.size(); ++event) {  // clicks come by user
    const auto click = static_cast<size_t>(ranks.click[event]);
    if (clicks.user[click] != user) finish(user);
    user = clicks.user[click];
    if (!reads_only || clicks.read[click] != 0)
      rank_of_item[clicks.item[click]] = ranks.rank[event];
  }
  finish(user);
  return lists;
}

double recall_of_list(const UserList& list, int32_t k) {
  return static_cast<double>(hits(list, k)) / static_cast<double>(list.relevant);
}

double ndcg_of_list(const UserList& list, int32_t k) {
  double gain = 0, best = 0;
  for (int64_t at = 0; at < hits(list, k); ++at)
    gain += gain_at(list.positions[static_cast<size_t>(at)]);
  for (int64_t at = 1; at <= std::min<int64_t>(k, list.relevant); ++at) best += gain_at(at);
  return gain / best;
}

double mrr_of_list(const UserList& list, int32_t) {
  return list.positions.empty() ? 0 : 1.0 / list.positions.front();
}

RankValue recall_value() { return {&recall_of_rank, &recall_of_list}; }
RankValue ndcg_value() { return {&ndcg_of_rank, &ndcg_of_list}; }
RankValue mrr_value() { return {&mrr_of_event, &mrr_of_list}; }

UserRatio rank_ratio(const Dataset& dataset, const CatalogueRanks& ranks, const RankValue& value,
                     int32_t k, bool reads_only, Ties ties, std::span<const int32_t> number_of_user,
                     int64_t users) {
  const auto count = static_cast<size_t>(users);
  UserRatio ratio{std::vector<double>(count, 0), std::vector<double>(count, 0)};
  const auto add = [&](int32_t user, double one) {
    const auto at = static_cast<size_t>(number_of_user[static_cast<size_t>(user)]);
    ratio.numerator[at] += one;
    ratio.denominator[at] += 1;
  };
  if (dataset.protocol().lists == "user") {
    for (const UserList& list : user_lists(dataset, ranks, ties, reads_only))
      add(list.user, value.of_list(list, k));
    return ratio;
  }
  const Clicks& clicks = dataset.clicks();
  for (size_t event = 0; event < ranks.click.size(); ++event) {
    const auto click = static_cast<size_t>(ranks.click[event]);
    if (!reads_only || clicks.read[click] != 0)
      add(clicks.user[click], value.of_event(ranks.rank[event], k));
  }
  return ratio;
}

}  // namespace retort
