#include "retort/metric/ranking.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_set>

#include "retort/common/error.h"

namespace retort {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double discount(int64_t rank) { return 1.0 / std::log2(1.0 + static_cast<double>(rank)); }

size_t cut(const RankedList& list, int32_t k) {
  check(k > 0, "a metric at K needs K above 0, not {}", k);
  return std::min(list.ranked.size(), static_cast<size_t>(k));
}

bool is_relevant(const RankedList& list, int32_t item) {
  return std::find(list.relevant.begin(), list.relevant.end(), item) != list.relevant.end();
}

}  // namespace

double recall_of_rank(int32_t rank, int32_t k) { return rank > 0 && rank <= k ? 1 : 0; }

double ndcg_of_rank(int32_t rank, int32_t k) { return rank > 0 && rank <= k ? discount(rank) : 0; }

double reciprocal_rank(int32_t rank) { return rank > 0 ? 1.0 / rank : 0; }

UserRatio weighted_recall(std::span<const int32_t> ranks, std::span<const float> weights,
                          std::span<const int32_t> users, int64_t user_count, int32_t k) {
  check(k > 0, "a metric at K needs K above 0, not {}", k);
  check(ranks.size() == weights.size() && ranks.size() == users.size(),
        "weighted_recall: {} ranks, {} weights, {} users", ranks.size(), weights.size(),
        users.size());
  const auto count = static_cast<size_t>(user_count);
  UserRatio ratio{std::vector<double>(count, 0), std::vector<double>(count, 0)};
  for (size_t event = 0; event < ranks.size(); ++event) {
    const double weight = weights[event];
    if (std::isnan(weight)) continue;
    check(weight >= 0 && users[event] >= 0 && users[event] < user_count,
          "weighted_recall: event {} has weight {} and user {} of {}", event, weight, users[event],
          user_count);
    const auto user = static_cast<size_t>(users[event]);
    ratio.numerator[user] += weight * recall_of_rank(ranks[event], k);
    ratio.denominator[user] += weight;
  }
  return ratio;
}

double recall_at(const RankedList& list, int32_t k) {
  const size_t end = cut(list, k);
  if (list.relevant.empty()) return kNan;
  double hits = 0;
  for (size_t at = 0; at < end; ++at) hits += is_relevant(list, list.ranked[at]);
  return hits / static_cast<double>(list.relevant.size());
}

double ndcg_at(const RankedList& list, int32_t k) {
  const size_t end = cut(list, k);
  if (list.relevant.empty()) return kNan;
  double gain = 0, best = 0;
  for (size_t at = 0; at < end; ++at) {
    if (is_relevant(list, list.ranked[at])) gain += discount(static_cast<int64_t>(at) + 1);
  }
  const size_t possible = std::min(list.relevant.size(), static_cast<size_t>(k));
  for (size_t at = 0; at < possible; ++at) best += discount(static_cast<int64_t>(at) + 1);
  return gain / best;
}

double mrr_of(const RankedList& list) {
  if (list.relevant.empty()) return kNan;
  for (size_t at = 0; at < list.ranked.size(); ++at) {
    if (is_relevant(list, list.ranked[at])) return 1.0 / static_cast<double>(at + 1);
  }
  return 0;
}

double mean_over_users(std::span<const double> values, EmptyUsers empty) {
  double sum = 0, count = 0;
  for (const double value : values) {
    if (!std::isnan(value)) sum += value;
    if (!std::isnan(value) || empty == EmptyUsers::kZero) count += 1;
  }
  return count > 0 ? sum / count : kNan;
}

double coverage_at(std::span<const RankedList> lists, int32_t k, int64_t catalogue) {
  std::unordered_set<int32_t> items;
  for (const RankedList& list : lists) {
    items.insert(list.ranked.begin(), list.ranked.begin() + static_cast<int64_t>(cut(list, k)));
  }
  return catalogue > 0 ? static_cast<double>(items.size()) / static_cast<double>(catalogue) : kNan;
}

}  // namespace retort
