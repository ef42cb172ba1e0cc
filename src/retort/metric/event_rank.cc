#include "retort/metric/event_rank.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "retort/kernel/rank_count.h"

namespace retort {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kRounding = 1.0f / (1 << 21);  // of a correction, generously

}  // namespace

EventRank::EventRank(const BlockScorer& scorer, int64_t event, int32_t own, float own_score,
                     const Correction& correction, int32_t top)
    : scorer_(scorer),
      correction_(correction),
      event_(event),
      own_(own),
      top_(std::max(top, 0)),
      margin_(scorer.margin(event)),
      low_(kInfinity),
      high_(kInfinity),
      bar_(top > 0 ? std::numeric_limits<float>::lowest() : kInfinity),
      prune_at_(4 * int64_t{top_} + 64) {
  if (own < 0) return;
  own_score_ = own_score;
  own_value_ = corrected(own_score, own);
  const float off = margin_at(own_value_);
  low_ = own_value_ - off;
  high_ = own_value_ + off;
}

float EventRank::corrected(float score, int64_t candidate) const {
  if (correction_.log_q.empty()) return score;
  return score + correction_.beta * correction_.log_q[candidate];
}

/// How far a corrected score near `value` may be from the exact one.
float EventRank::margin_at(float value) const {
  return margin_ == 0 ? 0 : margin_ + kRounding * (std::abs(value) + correction_.largest);
}

float EventRank::exact(int64_t candidate, float score) const {
  if (margin_ == 0) return score;
  const bool known = own_ >= 0 && scorer_.twin(candidate) == scorer_.twin(own_);
  return corrected(known ? own_score_ : scorer_.exact(event_, candidate), candidate);
}

void EventRank::add(int64_t begin, std::span<const float> scores, const uint8_t* mask) {
  const int64_t size = std::ssize(scores);
  thread_local std::vector<float> values;
  thread_local std::vector<int32_t> close, best;
  close.resize(size);
  best.resize(size);
  const float* judged = scores.data();
  if (mask != nullptr || !correction_.log_q.empty()) {
    values.resize(size);
    correct_scores(judged, size, mask, correction_.beta,
                   correction_.log_q.empty() ? nullptr : correction_.log_q.data() + begin,
                   values.data());
    judged = values.data();
  }
  const BlockMatches matches =
      compare_scores(judged, size, {low_, high_, bar_}, above_, close.data(), best.data());
  for (int64_t i = 0; i < matches.close; ++i) {
    const int32_t at = close[i];
    if (mask != nullptr && mask[at] == 0) continue;
    const float value = exact(begin + at, judged[at]);
    above_ += value > own_value_;
    equal_ += value == own_value_;
  }
  for (int64_t i = 0; i < matches.best; ++i) {
    const int32_t at = best[i];
    if (mask == nullptr || mask[at] != 0)
      contenders_.push_back({static_cast<int32_t>(begin + at), judged[at]});
  }
  if (std::ssize(contenders_) > prune_at_) prune();
}

/// Raises the bar to the last of the best, less what both it and another may be off by.
void EventRank::prune() {
  const auto last = contenders_.begin() + (top_ - 1);
  std::nth_element(contenders_.begin(), last, contenders_.end(), ranks_before);
  bar_ = last->score - 2 * margin_at(last->score);
  std::erase_if(contenders_, [&](const ScoredItem& one) { return one.score < bar_; });
  prune_at_ = std::max<int64_t>(prune_at_, 2 * std::ssize(contenders_));
}

int32_t EventRank::rank(Ties ties) const {
  if (own_ < 0) return 0;
  const int64_t others = equal_ - 1;
  const int64_t before = ties == Ties::kBest ? 0 : ties == Ties::kWorst ? others : others / 2;
  return static_cast<int32_t>(1 + above_ + before);
}

std::vector<int32_t> EventRank::take_best() {
  std::vector<int32_t> taken;
  if (std::ssize(contenders_) <= top_) {
    for (const ScoredItem& one : contenders_) taken.push_back(one.item);
    return taken;
  }
  if (top_ == 0) return taken;
  const auto last = contenders_.begin() + (top_ - 1);
  std::nth_element(contenders_.begin(), last, contenders_.end(), ranks_before);
  // Twice the margin above the last as scored is certainly in, twice below certainly out.
  const float score = last->score, off = 2 * margin_at(score);
  std::vector<ScoredItem> unsure;
  for (const ScoredItem& one : contenders_) {
    if (one.score > score + off)
      taken.push_back(one.item);
    else if (!(one.score < score - off))
      unsure.push_back(one);
  }
  TopK rest(top_ - static_cast<int32_t>(taken.size()));
  for (const ScoredItem& one : unsure) rest.push(one.item, exact(one.item, one.score));
  for (const ScoredItem& one : rest.take()) taken.push_back(one.item);
  return taken;
}

}  // namespace retort
