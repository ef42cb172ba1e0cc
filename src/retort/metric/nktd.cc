#include "retort/metric/nktd.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "retort/common/error.h"
#include "retort/kernel/top_k.h"

namespace retort {
namespace {

struct Pair {
  float retrieval, ranker;
};

double pairs_of(int64_t count) {
  return 0.5 * static_cast<double>(count) * static_cast<double>(count - 1);
}

/// Pairs within runs of equal neighbours.
template <class Equal>
double tied_pairs(const std::vector<Pair>& pairs, Equal equal) {
  double tied = 0;
  for (auto begin = pairs.begin(); begin != pairs.end();) {
    const auto end =
        std::find_if(begin, pairs.end(), [&](const Pair& pair) { return !equal(*begin, pair); });
    tied += pairs_of(end - begin);
    begin = end;
  }
  return tied;
}

/// Sorts [begin, end) by the ranker's score and counts the pairs it swaps: i < j with score i >
/// score j.
int64_t sort_counting(Pair* begin, Pair* end, Pair* spare) {
  const int64_t count = end - begin;
  if (count < 2) return 0;
  Pair* const middle = begin + count / 2;
  int64_t swapped = sort_counting(begin, middle, spare) + sort_counting(middle, end, spare);
  Pair *left = begin, *right = middle, *out = spare;
  while (left < middle && right < end) {
    if (right->ranker < left->ranker) {
      swapped += middle - left;
      *out++ = *right++;
    } else {
      *out++ = *left++;
    }
  }
  out = std::copy(left, middle, out);
  std::copy(right, end, out);
  std::copy(spare, spare + count, begin);
  return swapped;
}

}  // namespace

double nktd(std::span<const float> retrieval, std::span<const float> ranker) {
  check(retrieval.size() == ranker.size(), "nktd: {} scores against {}", retrieval.size(),
        ranker.size());
  std::vector<Pair> pairs;
  for (size_t i = 0; i < retrieval.size(); ++i) {
    check(!std::isnan(retrieval[i]) && !std::isnan(ranker[i]), "nktd: score {} is NaN", i);
    pairs.push_back({retrieval[i], ranker[i]});
  }
  if (pairs.size() < 2) return std::numeric_limits<double>::quiet_NaN();
  std::ranges::sort(pairs, [](const Pair& a, const Pair& b) {
    return a.retrieval != b.retrieval ? a.retrieval < b.retrieval : a.ranker < b.ranker;
  });
  const auto same_retrieval = [](const Pair& a, const Pair& b) {
    return a.retrieval == b.retrieval;
  };
  const auto same_ranker = [](const Pair& a, const Pair& b) { return a.ranker == b.ranker; };
  const double by_retrieval = tied_pairs(pairs, same_retrieval);
  const double by_both = tied_pairs(pairs, [&](const Pair& a, const Pair& b) {
    return same_retrieval(a, b) && same_ranker(a, b);
  });
  std::vector<Pair> spare(pairs.size());
  const auto discordant =
      static_cast<double>(sort_counting(pairs.data(), pairs.data() + pairs.size(), spare.data()));
  const double tied = by_retrieval + tied_pairs(pairs, same_ranker) - by_both;
  return (discordant + 0.5 * tied) / pairs_of(std::ssize(pairs));
}

NktdSupport parse_nktd_support(const std::string& name) {
  if (name == "own") return NktdSupport::kOwn;
  if (name == "ranker") return NktdSupport::kRanker;
  if (name == "both") return NktdSupport::kBoth;
  fail<ConfigError>("support of nktd '{}': use own, ranker or both", name);
}

std::vector<int32_t> best_of(std::span<const float> scores, int32_t n) {
  std::vector<int32_t> best;
  for (const ScoredItem& entry : top_k(scores, n)) best.push_back(entry.item);
  return best;
}

double nktd_at(std::span<const float> retrieval, std::span<const float> ranker, int32_t n,
               NktdSupport support) {
  check(retrieval.size() == ranker.size(), "nktd_at: {} scores against {}", retrieval.size(),
        ranker.size());
  check(n > 0, "nktd at {}: at least one item must be compared", n);
  std::vector<int32_t> items = best_of(support == NktdSupport::kRanker ? ranker : retrieval, n);
  if (support == NktdSupport::kBoth) {
    const std::vector<int32_t> others = best_of(ranker, n);
    items.insert(items.end(), others.begin(), others.end());
    std::ranges::sort(items);
    items.erase(std::unique(items.begin(), items.end()), items.end());
  }
  return nktd_on(retrieval, ranker, items);
}

double nktd_on(std::span<const float> retrieval, std::span<const float> ranker,
               std::span<const int32_t> support) {
  std::vector<float> mine, others;
  for (const int32_t item : support) {
    const auto at = static_cast<size_t>(item);
    check(item >= 0 && at < retrieval.size() && at < ranker.size(),
          "nktd_on: item {} of {} and {} scores", item, retrieval.size(), ranker.size());
    mine.push_back(retrieval[at]);
    others.push_back(ranker[at]);
  }
  return nktd(mine, others);
}

}  // namespace retort
