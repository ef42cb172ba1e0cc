// One day of World L: who opens the platform, what the rows show, what is clicked and watched on,
// as rows of the log.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "retort/sim/live_ranker.h"
#include "retort/sim/long_video_policy.h"
#include "retort/sim/long_video_world.h"

namespace retort {

/// A show that a user has played. What was never played is not here.
struct Started {
  int32_t item = 0;
  Watching watching;
};
/// [U] in the order in which the shows were started.
using Audience = std::vector<std::vector<Started>>;

/// What is counted while the log is written; by ShowType.
struct LongVideoTally {
  struct Type {
    int64_t impressions = 0, clicks = 0, playbacks = 0;
    double expected_clicks = 0;  // sum of examination * sigma(eta)
    double minutes = 0, familiar_minutes = 0;
  };
  std::array<Type, 2> type;
  int64_t opens = 0, reactions = 0;
  void add(const LongVideoTally& other);
};

/// An impression as the live ranker and the calibration need it.
struct Shown {
  int32_t user = 0, item = 0;
  int32_t position = 1;
  bool clicked = false;
};
struct Played {
  int32_t user = 0, item = 0;
  double minutes = 0;
};

/// One block's part of a day: CSV lines, times in microseconds since 1970.
struct LongVideoBlock {
  std::string impressions;  // columns of impressions.parquet, `kept` as its uniform draw
  std::string playbacks, reactions;
  std::vector<Shown> shown;
  std::vector<Played> played;
  LongVideoTally tally;
};

/// What a day needs to know. In the attribution days no unfamiliar row is shown.
class LongVideoDay {
 public:
  LongVideoDay(const LongVideoWorld& world, const LiveRanker& ranker, int32_t day);
  /// Simulates users [begin, end) and lets their entries of `audience` go on. Different ranges may
  /// run at once.
  void simulate(int64_t begin, int64_t end, Audience& audience, LongVideoBlock& block) const;

  const LongVideoWorld& world() const { return world_; }
  const LiveRanker& ranker() const { return ranker_; }
  int32_t day() const { return day_; }
  const std::vector<LongVideoPolicy>& rows() const { return rows_; }

 private:
  const LongVideoWorld& world_;
  const LiveRanker& ranker_;
  int32_t day_;
  std::vector<LongVideoPolicy> rows_;  // "TV For You", "Movies For You"; empty after the log days
};

/// The ranker before the first day, with what its constants say.
LiveRanker make_live_ranker(const LongVideoWorld& world);
/// Teaches the ranker one day: forgets once, then learns the blocks in order.
void learn_day(const std::vector<LongVideoBlock>& blocks, LiveRanker& ranker);

}  // namespace retort
