#include "retort/metric/rank_metric.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <vector>

#include "retort/common/error.h"
#include "retort/metric/ranking.h"
#include "retort/metric/user_lists.h"

namespace retort {
namespace {

double weighted_by_seconds(const Dataset& dataset, const CatalogueRanks& ranks, int32_t k) {
  std::vector<float> seconds;
  std::vector<int32_t> users;
  for (const int64_t click : ranks.click) {
    seconds.push_back(dataset.clicks().seconds[static_cast<size_t>(click)]);
    users.push_back(dataset.clicks().user[static_cast<size_t>(click)]);
  }
  const double value = weighted_recall(ranks.rank, seconds, users, dataset.users(), k).value();
  if (std::isnan(value))
    fail<DataError>("no seconds are known to compute wrecall@{} from; choose by recall@{}", k, k);
  return value;
}

}  // namespace

int32_t metric_k(const std::string& metric, const std::string& prefix) {
  if (!metric.starts_with(prefix + '@')) return 0;
  const char* begin = metric.data() + prefix.size() + 1;
  const char* end = metric.data() + metric.size();
  int32_t k = 0;
  const auto [stop, error] = std::from_chars(begin, end, k);
  return error == std::errc() && stop == end && k > 0 ? k : 0;
}

bool of_every_click(const std::string& metric) {
  return metric_k(metric, "recall_click") > 0 || metric_k(metric, "wrecall") > 0;
}

double rank_metric(const Dataset& dataset, const CatalogueRanks& ranks, const std::string& metric) {
  if (ranks.rank.empty())
    fail<DataError>(
        "no event to compute {} from: the split has no clicks of that kind; ingest with a longer "
        "one, or choose by auc_click",
        metric);
  if (const int32_t k = metric_k(metric, "wrecall"); k > 0)
    return weighted_by_seconds(dataset, ranks, k);
  const int32_t recall_k = std::max(metric_k(metric, "recall"), metric_k(metric, "recall_click")),
                ndcg_k = metric_k(metric, "ndcg");
  check(recall_k > 0 || ndcg_k > 0 || metric == "mrr", "rank_metric: '{}' is unknown", metric);
  std::vector<int32_t> own_number(static_cast<size_t>(dataset.users()));
  std::iota(own_number.begin(), own_number.end(), 0);
  const RankValue value = recall_k > 0 ? recall_value() : ndcg_k > 0 ? ndcg_value() : mrr_value();
  return rank_ratio(dataset, ranks, value, std::max(recall_k, ndcg_k), false, Ties::kMid,
                    own_number, dataset.users())
      .value();
}

size_t best_weight(std::span<const double> weights, std::span<const double> values) {
  check(!values.empty() && weights.size() == values.size(), "best_weight: {} weights, {} values",
        weights.size(), values.size());
  const auto distance = [&](size_t i) { return std::abs(weights[i] - 0.5); };
  size_t best = 0;
  for (size_t i = 1; i < values.size(); ++i)
    if (values[i] > values[best] || (values[i] == values[best] && distance(i) < distance(best)))
      best = i;
  return best;
}

}  // namespace retort
