// One day of the simulated platform with another personalised channel: candidates of all channels,
// the ranker, a slate, and what the viewers do with it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "retort/common/json.h"
#include "retort/sim/long_video_oracle.h"
#include "retort/study/abtest_channels.h"
#include "retort/study/abtest_log.h"
#include "retort/study/abtest_recipe.h"

namespace retort {

/// E[minutes of the first playback | click] of a pair of satisfaction S in closed form. A series of
/// n episodes of b minutes: b [P sum_{k=0}^{min(n, 6) - 1} (.6 S)^k + (1 - P) .4], P = .35 + .6 S;
/// a movie: S of its runtime. Leaves out that a click plays at least three seconds.
/// Source: methods E4 (first playback).
double expected_first_minutes(const LongVideoConstants& c, const Show& show, double satisfaction);

/// What one user does with one row in one arm. Minutes: `local` of first playbacks inside the row,
/// `dwm` all of the shows discovered in it within seven days. The expected ones are those of the
/// slate: exam(position) p_click, times E[first | click] or E[DWM | click].
struct RowOutcome {
  double shown = 0, clicks = 0, local = 0, dwm = 0;
  double expected_clicks = 0, expected_local = 0, expected_dwm = 0;
  std::array<double, kChannels> offered{};  // impressions of items that the channel offered
  double nktd = 0;                          // NaN where fewer than two items were retrieved
};

/// A candidate with the channels that offered it, a bit each by Channel.
struct AbCandidate {
  int32_t item = 0;
  uint8_t channels = 0;
};
/// Joins the channels' lists: each show once, credited to every channel that offered it.
/// Source: RRA sec. 5.4 ("exposure across multiple channels").
std::vector<AbCandidate> merge_channels(const std::array<std::vector<int32_t>, kChannels>& offered);

/// The personalised channel of one arm and row. Const methods are thread-safe.
class ArmChannel {
 public:
  struct Scored {
    int32_t item;
    float score;
  };
  virtual ~ArmChannel() = default;
  /// The k best that the user has not played and that exist on the day, best first.
  virtual std::vector<Scored> retrieve(int32_t user, int32_t k, const LoggedPast& past) const = 0;
  /// Until when it knows the log, microseconds since 1970; nullopt: nothing of it.
  virtual std::optional<int64_t> moment() const = 0;
  virtual bool knows(int32_t user) const = 0;  // others are served without features
  virtual Json about() const = 0;              // for the result
};

/// A bundle that answers as it would in service, or the oracle's ranking: the most that the channel
/// could bring. `oracle` must outlive it. Throws ConfigError if the bundle recommends shows of
/// another type or cannot be fused; DataError if it holds items that the world does not know.
std::unique_ptr<ArmChannel> make_arm_channel(const ArmSource& source, const LongVideoOracle& oracle,
                                             ShowType type);

/// One row of the day. Everything it refers to must outlive it; thread-safe.
struct RowReplay {
  const LongVideoOracle& oracle;
  const LoggedPast& past;
  const SharedChannels& shared;
  const AbTestRecipe& recipe;

  /// The slate is the best `slots` of the merged candidates by the ranker's mixed score, ties by
  /// the lower number; clicks and watching have the luck of (user, item, day), so that a show at
  /// the same position meets the same in every arm.
  RowOutcome run(int32_t user, const ArmChannel& arm) const;

 private:
  std::vector<AbCandidate> slate(int32_t user, std::vector<AbCandidate> candidates) const;
  void show(int32_t user, int32_t item, int32_t position, RowOutcome& outcome) const;
};

}  // namespace retort
