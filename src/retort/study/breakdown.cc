#include "retort/study/breakdown.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "retort/common/error.h"

namespace retort {
namespace {

Json number_or_null(double value) { return std::isnan(value) ? Json() : Json(value); }

}  // namespace

RowGroups group_rows(std::span<const int64_t> keys, int32_t count) {
  check(count >= 1, "group_rows: {} groups", count);
  std::vector<int64_t> order(keys.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return keys[a] < keys[b]; });
  RowGroups grouped;
  const int64_t rows = std::ssize(order);
  for (int64_t begin = 0; begin < rows;) {
    // The next boundary of equal shares behind `begin`, moved on to where the key changes.
    const int64_t share = begin * count / rows + 1;
    int64_t end = std::max(begin + 1, share * rows / count);
    while (end < rows && keys[order[end]] == keys[order[end - 1]]) ++end;
    RowGroups::Group group{
        keys[order[begin]], keys[order[end - 1]], {order.begin() + begin, order.begin() + end}};
    std::sort(group.rows.begin(), group.rows.end());
    grouped.groups.push_back(std::move(group));
    begin = end;
  }
  return grouped;
}

Json auc_by_group(const RowGroups& groups, std::span<const float> scores,
                  std::span<const RowKind> kinds, std::span<const int32_t> users,
                  const Bootstrap& bootstrap) {
  Json all = Json::array();
  for (const RowGroups::Group& group : groups.groups) {
    std::vector<float> score;
    std::vector<RowKind> kind;
    std::vector<int32_t> user;
    for (const int64_t row : group.rows) {
      score.push_back(scores[row]);
      kind.push_back(kinds[row]);
      user.push_back(users[row]);
    }
    const SortedRows sorted(score, kind, user);
    const auto replicates =
        bootstrap.run(1, [&](std::span<const uint8_t> weights, std::span<double> out) {
          out[0] = sorted.split(weights).auc_read;
        });
    const Interval interval = interval_of(sorted.split().auc_read, replicates[0]);
    all.push_back({{"from", group.from},
                   {"to", group.to},
                   {"rows", group.rows.size()},
                   {"value", number_or_null(interval.value)},
                   {"low", number_or_null(interval.low)},
                   {"high", number_or_null(interval.high)}});
  }
  return all;
}

Json to_json(std::span<const ReliabilityBin> bins) {
  Json all = Json::array();
  for (const ReliabilityBin& bin : bins)
    all.push_back({{"rows", bin.rows},
                   {"lowest", bin.lowest},
                   {"highest", bin.highest},
                   {"mean_predicted", bin.mean_predicted},
                   {"share_positive", bin.share_positive}});
  return all;
}

}  // namespace retort
