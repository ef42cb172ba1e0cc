#include "retort/metric/auc.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "retort/common/error.h"

namespace retort {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Row numbers by ascending score. Throws on a NaN, which has no place in an order.
std::vector<int32_t> order_by_score(std::span<const float> scores) {
  check(scores.size() < static_cast<size_t>(std::numeric_limits<int32_t>::max()),
        "auc: {} rows are more than 2^31", scores.size());
  for (size_t row = 0; row < scores.size(); ++row) {
    check(!std::isnan(scores[row]), "auc: the score of row {} is not a number", row);
  }
  std::vector<int32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](int32_t a, int32_t b) { return scores[a] < scores[b]; });
  return order;
}

double ratio(double pairs, double positives, double negatives) {
  return positives > 0 && negatives > 0 ? pairs / (positives * negatives) : kNan;
}

/// AUC of the rows order[begin, end), which ascend by score.
double auc_of_sorted(std::span<const int32_t> order, std::span<const float> scores,
                     std::span<const uint8_t> labels) {
  double below = 0, pairs = 0, positives = 0;
  for (size_t at = 0; at < order.size();) {
    double tied_positives = 0, tied_negatives = 0;
    const float score = scores[order[at]];
    for (; at < order.size() && scores[order[at]] == score; ++at) {
      (labels[order[at]] != 0 ? tied_positives : tied_negatives) += 1;
    }
    pairs += tied_positives * (below + 0.5 * tied_negatives);
    below += tied_negatives;
    positives += tied_positives;
  }
  return ratio(pairs, positives, below);
}

}  // namespace

double auc(std::span<const float> scores, std::span<const uint8_t> labels) {
  check(scores.size() == labels.size(), "auc: {} scores but {} labels", scores.size(),
        labels.size());
  return auc_of_sorted(order_by_score(scores), scores, labels);
}

SortedRows::SortedRows(std::span<const float> scores, std::span<const RowKind> kinds,
                       std::span<const int32_t> users) {
  check(scores.size() == kinds.size() && scores.size() == users.size(),
        "SortedRows: {} scores, {} kinds, {} users", scores.size(), kinds.size(), users.size());
  const std::vector<int32_t> order = order_by_score(scores);
  rows_.reserve(order.size());
  for (size_t at = 0; at < order.size(); ++at) {
    const bool last = at + 1 == order.size() || scores[order[at]] != scores[order[at + 1]];
    rows_.push_back({users[order[at]], static_cast<uint8_t>(kinds[order[at]]), last});
  }
}

template <class Weight>
AucSplit SortedRows::pass(Weight weight) const {
  constexpr int kSampled = 0, kShort = 1, kRead = 2;
  std::array<double, 3> below{}, tied{};
  double read_short = 0, read_sampled = 0, short_sampled = 0;
  for (const Row& row : rows_) {
    tied[row.kind] += weight(row.user);
    if (!row.last_of_tie) continue;
    read_short += tied[kRead] * (below[kShort] + 0.5 * tied[kShort]);
    read_sampled += tied[kRead] * (below[kSampled] + 0.5 * tied[kSampled]);
    short_sampled += tied[kShort] * (below[kSampled] + 0.5 * tied[kSampled]);
    for (int kind = 0; kind < 3; ++kind) below[kind] += tied[kind];
    tied = {};
  }
  const double negatives = below[kShort] + below[kSampled];
  AucSplit split;
  split.auc_read = ratio(read_short + read_sampled, below[kRead], negatives);
  split.auc_click =
      ratio(read_sampled + short_sampled, below[kRead] + below[kShort], below[kSampled]);
  split.auc_read_given_click = ratio(read_short, below[kRead], below[kShort]);
  split.auc_read_vs_sampled = ratio(read_sampled, below[kRead], below[kSampled]);
  split.omega = negatives > 0 ? below[kShort] / negatives : kNan;
  return split;
}

AucSplit SortedRows::split() const {
  return pass([](int32_t) { return 1.0; });
}

AucSplit SortedRows::split(std::span<const uint8_t> user_weights) const {
  return pass([&](int32_t user) { return static_cast<double>(user_weights[user]); });
}

Gauc gauc(std::span<const float> scores, std::span<const uint8_t> labels,
          std::span<const int32_t> users, int64_t user_count) {
  check(scores.size() == labels.size() && scores.size() == users.size(),
        "gauc: {} scores, {} labels, {} users", scores.size(), labels.size(), users.size());
  std::vector<int32_t> order = order_by_score(scores);
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return users[a] < users[b]; });
  Gauc result;
  result.weighted.assign(user_count, 0);
  result.rows.assign(user_count, 0);
  double weighted = 0, rows = 0;
  for (size_t begin = 0; begin < order.size();) {
    const int32_t user = users[order[begin]];
    check(user >= 0 && user < user_count, "gauc: user {} of {}", user, user_count);
    size_t end = begin;
    while (end < order.size() && users[order[end]] == user) ++end;
    const double area = auc_of_sorted(std::span(order).subspan(begin, end - begin), scores, labels);
    if (std::isnan(area)) {
      ++result.left_out;
    } else {
      ++result.users;
      result.rows[user] = static_cast<double>(end - begin);
      result.weighted[user] = result.rows[user] * area;
      weighted += result.weighted[user];
      rows += result.rows[user];
    }
    begin = end;
  }
  result.value = rows > 0 ? weighted / rows : kNan;
  return result;
}

}  // namespace retort
