// The channels that all arms share: popularity of the trailing day, item-to-item co-play and new
// arrivals. They know the log before the test day and never an arm's output.
#pragma once

#include <cstdint>
#include <vector>

#include "retort/study/abtest_log.h"
#include "retort/study/abtest_recipe.h"

namespace retort {

/// Of one row (shows of one type that exist on the test day). Thread-safe once built.
/// Source: RRA sec. 5.4 (multi-channel retrieval); which channels and quotas: methods B8.
class SharedChannels {
 public:
  /// `past` and `world` must outlive it.
  SharedChannels(const LoggedPast& past, const LongVideoWorld& world, ShowType type,
                 const ChannelOptions& options);

  /// Up to the channel's quota of shows that the user has never played, best first. Throws
  /// ArgumentError for kPersonalised.
  ///   kPopular  most clicks in the trailing window, at least one
  ///   kCoPlay   largest sum of cosine(j, i) = users who played both / sqrt(of i * of j) over the
  ///             shows j, of either type, that the user started last
  ///   kNew      latest release
  /// Ties by the lower number. Source of kCoPlay: Sarwar et al., WWW 2001.
  std::vector<int32_t> candidates(Channel channel, int32_t user) const;
  /// Whether the row may show it to anybody on the day.
  bool exists(int32_t item) const { return item >= first_ && item < end_; }

 private:
  struct Neighbour {
    int32_t item;
    float cosine;
  };
  void find_neighbours(int64_t users);
  std::vector<int32_t> co_played(int32_t user) const;

  const LoggedPast& past_;
  ChannelOptions options_;
  int32_t first_ = 0, end_ = 0;  // shows of the row
  std::vector<int32_t> popular_, new_;
  std::vector<std::vector<Neighbour>> neighbours_;  // [I]
};

}  // namespace retort
