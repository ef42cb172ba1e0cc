// What is true in a simulated platform of long videos: the laws of clicks and of what a discovery
// brings, for any pair, and the scores of a dataset's rows and candidates by them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "retort/common/file.h"
#include "retort/dataset/dataset.h"
#include "retort/metric/catalogue.h"
#include "retort/metric/towers.h"
#include "retort/sim/long_video_policy.h"
#include "retort/sim/long_video_world.h"

namespace retort {

/// Source: methods E4. Users and shows by their number in the world. All methods are const and
/// thread-safe. Indices out of range throw ArgumentError.
class LongVideoOracle {
 public:
  /// `world`: the folder that `simulate` wrote. Throws DataError.
  explicit LongVideoOracle(const fs::path& world);
  explicit LongVideoOracle(LongVideoWorld world);

  const LongVideoWorld& world() const { return world_; }
  /// By the keys of the log, "u000123", "t00042" and "m00042"; nullopt if there is none such.
  std::optional<int32_t> find_user(std::string_view key) const;
  std::optional<int32_t> find_item(std::string_view key) const;
  /// Day of a moment (microseconds since 1970); before the first or after the last with
  /// impressions: that one.
  int32_t day_of(int64_t time) const;
  bool alive(int32_t item, int32_t day) const;

  /// P(click) in a slot that is examined: sigma(eta).
  double p_click(int32_t user, int32_t item) const;
  /// E[DWM | click] in minutes: the mean of 256 roll-outs, the same random numbers for every pair.
  double expected_dwm(int32_t user, int32_t item) const;
  /// The same by the table of WeekTable: a hundred times as fast, for whole catalogues.
  double quick_expected_dwm(int32_t user, int32_t item) const;
  /// P(DWM > minutes | click) by the same roll-outs.
  double p_dwm_above(int32_t user, int32_t item, double minutes) const;
  /// Minutes gained by showing the pair in an examined slot: p_click * E[DWM | click].
  double value(int32_t user, int32_t item) const;
  /// What follows in this very world if the user discovers the show on the day (by the luck of its
  /// log): `first` are local minutes, `week` and `all` the DWM. For replays of other policies: the
  /// same pair on the same day meets the same luck whoever shows it. The log itself differs only
  /// where several playbacks of a day queue up and so shift what the window's end cuts.
  Viewing outcome(int32_t user, int32_t item, int32_t day) const;

 private:
  void check_range(int32_t user, int32_t item) const;
  LongVideoWorld world_;
  RollOuts roll_outs_;
  WeekTable table_;
};

/// Which truth ranks the catalogue.
enum class LongVideoRanking {
  kClick,        // p_click: the clicks that showing the item would give
  kMinutes,      // p_click E[DWM]: the minutes that it would give
  kClickMass,    // e_u(i) p_click: the most probable next clicks of this log, ceiling of Recall@K
  kMinutesMass,  // e_u(i) p_click E[DWM]: ceiling of WRecall@K
};

/// The oracle as a row of an evaluation table. Tasks: "click" p_click, "dwm" p_click E[DWM],
/// "dwm_given_click" E[DWM], "read" P(click and DWM > the dataset's threshold) and
/// "read_given_click"; all for an examined slot, so exact for rows that are impressions of one
/// position. Candidates that are not born score -1. Thread-safe.
class LongVideoScorer : public PairScorer {
 public:
  /// Both must outlive the scorer. Throws DataError where the dataset holds a user or an item that
  /// the world does not know.
  LongVideoScorer(const LongVideoOracle& oracle, const Dataset& dataset);

  void score(const Batch& batch, std::string_view task, std::span<float> out) const override;
  /// For rank_catalogue; the scorer must outlive it.
  CandidateScorer candidates(LongVideoRanking ranking) const;

 private:
  double pair_score(int32_t user, int32_t item, std::string_view task) const;
  void rank(LongVideoRanking ranking, int64_t event, std::span<const int32_t> items,
            std::span<float> out) const;

  const LongVideoOracle& oracle_;
  const Dataset& dataset_;
  std::vector<int32_t> user_, item_;       // numbers in the world
  std::vector<LongVideoPolicy> policies_;  // [days, 2]
};

}  // namespace retort
