#include "retort/server/trailing_popularity.h"

#include <algorithm>
#include <string_view>

#include "retort/common/error.h"

namespace retort {
namespace {

constexpr int64_t kMinutes = 121, kHours = 169;  // whole ones and the one that has begun
constexpr size_t kWindows = 16;                  // rankings kept

using Counted = std::pair<std::string_view, int64_t>;

bool more_clicked(const Counted& a, const Counted& b) {
  return a.second != b.second ? a.second > b.second : a.first < b.first;
}

/// Leaves the half with the most counts.
void halve(std::unordered_map<std::string, int64_t>& counts) {
  std::vector<Counted> all(counts.begin(), counts.end());
  const auto middle = all.begin() + static_cast<ptrdiff_t>(all.size() / 2);
  std::nth_element(all.begin(), middle, all.end(), more_clicked);
  std::vector<std::string> least;
  for (auto entry = middle; entry != all.end(); ++entry) least.emplace_back(entry->first);
  for (const std::string& item : least) counts.erase(item);
}

}  // namespace

TrailingPopularity::TrailingPopularity(Options options)
    : options_(std::move(options)),
      minutes_{kMinute, options_.minute_items, std::vector<Bucket>(kMinutes)},
      hours_{kHour, options_.hour_items, std::vector<Bucket>(kHours)} {}

void TrailingPopularity::Buckets::add(const std::string& item, int64_t time, int64_t now) {
  const int64_t number = time / width;
  if (number <= now / width - std::ssize(ring)) return;
  Bucket& bucket = ring[static_cast<size_t>(number % std::ssize(ring))];
  if (bucket.number != number) {
    bucket.number = number;
    bucket.counts.clear();
  }
  if (bucket.counts.size() >= limit && !bucket.counts.contains(item)) halve(bucket.counts);
  ++bucket.counts[item];
}

void TrailingPopularity::add(const std::string& item, int64_t time) {
  const int64_t now = options_.clock();
  const int64_t at = std::min(time, now);
  if (at < 0) return;
  const std::lock_guard lock(mutex_);
  minutes_.add(item, at, now);
  hours_.add(item, at, now);
  ++counted_;
}

int64_t TrailingPopularity::counted() const {
  const std::lock_guard lock(mutex_);
  return counted_;
}

std::shared_ptr<const TrailingPopularity::Ranking> TrailingPopularity::rank(const Buckets& buckets,
                                                                            int64_t count,
                                                                            int64_t now) const {
  const int64_t last = now / buckets.width;
  auto ranking = std::make_shared<Ranking>();
  const std::lock_guard lock(mutex_);
  std::unordered_map<std::string_view, int64_t> sums;
  for (const Bucket& bucket : buckets.ring)
    if (bucket.number <= last && bucket.number > last - count)
      for (const auto& [item, clicks] : bucket.counts) sums[item] += clicks;
  std::vector<Counted> all(sums.begin(), sums.end());
  const size_t kept = std::min(kRanked, all.size());
  std::partial_sort(all.begin(), all.begin() + static_cast<ptrdiff_t>(kept), all.end(),
                    more_clicked);
  for (size_t i = 0; i < kept; ++i) ranking->emplace_back(all[i]);
  return ranking;
}

std::shared_ptr<const TrailingPopularity::Ranking> TrailingPopularity::ranking(int64_t window) {
  check(window >= kShortest && window <= kLongest, "popularity: a window of {} us", window);
  const int64_t now = options_.clock();
  const Buckets& buckets = window <= (kMinutes - 1) * kMinute ? minutes_ : hours_;
  // From the bucket that holds the window's begin to the one that holds now.
  const int64_t count = now / buckets.width - (now - window) / buckets.width + 1;
  const std::pair key{buckets.width, count};
  {
    const std::lock_guard lock(ranked_mutex_);
    if (!ranked_.contains(key) && ranked_.size() >= kWindows)
      ranked_.erase(std::min_element(ranked_.begin(), ranked_.end(), [](auto& a, auto& b) {
        return a.second.made < b.second.made;
      }));
    Ranked& ranked = ranked_[key];
    const bool fresh =
        ranked.made > 0 && now - ranked.made < options_.refresh && now >= ranked.made;
    // While one makes it anew, the others have the old one.
    if (fresh || (ranked.making && ranked.made > 0)) return ranked.ranking;
    ranked.making = true;
  }
  auto made = rank(buckets, count, now);
  const std::lock_guard lock(ranked_mutex_);
  ranked_[key] = {made, now, false};
  return made;
}

}  // namespace retort
