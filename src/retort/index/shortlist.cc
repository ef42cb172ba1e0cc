#include "retort/index/shortlist.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "retort/kernel/dense.h"

namespace retort {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr int64_t kAhead = 8;  // rows fetched before they are scored

}  // namespace

void Shortlist::start(const QuantisedMatrix& matrix, QuantisedQuery query, int32_t k) {
  matrix_ = &matrix;
  query_ = std::move(query);
  k_ = k;
  prune_at_ = k;
  threshold_ = -kInfinity;
  candidates_.clear();
}

ScanQuery Shortlist::scan_query(Survivor* out) const {
  return {query_.narrow.data(),   query_.wide.data(), query_.start, query_.norm_factor,
          query_.residual_factor, threshold_,         out,          0};
}

void Shortlist::add(std::span<const Survivor> survivors) {
  for (const Survivor& one : survivors) {
    const float margin = matrix_->margin(query_, one.row);
    if (std::isfinite(margin) && std::isfinite(one.upper))
      candidates_.push_back({one.row, one.upper, one.upper - 2 * margin});
    else
      candidates_.push_back({one.row, kInfinity, -kInfinity});
  }
  if (std::ssize(candidates_) > prune_at_) prune();
}

void Shortlist::merge(const Shortlist& other) {
  candidates_.insert(candidates_.end(), other.candidates_.begin(), other.candidates_.end());
  if (std::ssize(candidates_) > prune_at_) prune();
}

/// Raises the threshold to the k-th best lower bound. Next time when half as many again are held:
/// pruning costs about what scanning the rows between does.
void Shortlist::prune() {
  lower_.clear();
  for (const Candidate& one : candidates_) lower_.push_back(one.lower);
  const auto kth = lower_.begin() + (k_ - 1);
  std::nth_element(lower_.begin(), kth, lower_.end(), std::greater<>());
  const double both = 2 * query_.slack / query_.unit;  // of this bound and of the other's
  threshold_ =
      std::max(threshold_, std::nextafter(static_cast<float>(double{*kth} - both), -kInfinity));
  std::erase_if(candidates_, [&](const Candidate& one) { return one.upper < threshold_; });
  prune_at_ = 2 * std::ssize(candidates_) + 32;
}

bool Shortlist::hopeless(int64_t seen) const {
  return std::ssize(candidates_) > std::max<int64_t>(4 * k_ + 8192, seen / 4);
}

std::vector<ScoredItem> Shortlist::take(std::span<const float> query,
                                        std::span<const float> vectors) {
  if (std::ssize(candidates_) > k_) prune();
  std::sort(candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) {
    return a.upper > b.upper || (a.upper == b.upper && a.row < b.row);
  });
  const auto dim = std::ssize(query), count = std::ssize(candidates_);
  const auto row_of = [&](int64_t at) {
    return vectors.data() + candidates_[static_cast<size_t>(at)].row * dim;
  };
  TopK best(static_cast<int32_t>(k_));
  for (int64_t at = 0; at < count; ++at) {
    if (at + kAhead < count)
      for (int64_t d = 0; d < dim; d += 16) __builtin_prefetch(row_of(at + kAhead) + d);
    const Candidate& one = candidates_[static_cast<size_t>(at)];
    // Sorted by bound: once one cannot reach the k-th best, none after it can.
    if (best.full() &&
        query_.unit * one.upper + query_.offset + query_.slack < double{best.worst()})
      break;
    best.push(one.row, dot(query.data(), row_of(at), dim));
  }
  return best.take();
}

}  // namespace retort
