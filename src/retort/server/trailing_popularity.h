// What is clicked now: counts of clicks in time buckets, as they come in.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "retort/server/live_items.h"

namespace retort {

/// Thread-safe. Belongs to the server, not to a model: swaps do not touch it.
/// Memory is bounded: a bucket that holds its limit of items forgets the half it has counted least,
/// so that only what is hardly clicked is counted too low.
class TrailingPopularity {
 public:
  static constexpr int64_t kMinute = 60'000'000, kHour = 60 * kMinute;
  static constexpr int64_t kShortest = kMinute, kLongest = int64_t{7} * 24 * kHour;

  struct Options {
    Clock clock = system_now;
    int64_t refresh = 1'000'000;  // microseconds; a click counts within so long
    size_t minute_items = 2048, hour_items = 4096;
  };
  TrailingPopularity() : TrailingPopularity(Options{}) {}
  explicit TrailingPopularity(Options options);

  /// A click at the moment `time`; those in the future count as now, those older than kLongest not
  /// at all.
  void add(const std::string& item, int64_t time);

  /// The kRanked most clicked items of the window, most clicked first, equal ones by id.
  using Ranking = std::vector<std::pair<std::string, int64_t>>;
  static constexpr size_t kRanked = 10'000;
  /// window: kShortest to kLongest. It reaches back to the begin of a bucket: of a minute where it
  /// has two hours at most, else of an hour. Never null.
  std::shared_ptr<const Ranking> ranking(int64_t window);

  int64_t counted() const;  // clicks since the start

 private:
  struct Bucket {
    int64_t number = -1;  // moment / width
    std::unordered_map<std::string, int64_t> counts{};
  };
  struct Buckets {
    int64_t width;
    size_t limit;
    std::vector<Bucket> ring;
    void add(const std::string& item, int64_t time, int64_t now);
  };
  struct Ranked {
    std::shared_ptr<const Ranking> ranking = std::make_shared<Ranking>();
    int64_t made = 0;
    bool making = false;
  };
  std::shared_ptr<const Ranking> rank(const Buckets& buckets, int64_t count, int64_t now) const;

  const Options options_;
  mutable std::mutex mutex_;  // of the buckets
  Buckets minutes_, hours_;
  int64_t counted_ = 0;
  std::mutex ranked_mutex_;                               // held briefly
  std::map<std::pair<int64_t, int64_t>, Ranked> ranked_;  // by width and number of buckets
};

}  // namespace retort
