// How a show is watched in World L (methods E4): the first playback, what follows on later days,
// and the roll-outs that give E[DWM]. A law is a function of the show, the satisfaction S of the
// pair and uniform draws, so that the simulator, the oracle and the tests share one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "retort/common/rng.h"
#include "retort/sim/long_video_options.h"

namespace retort {

/// Episodes of one sitting beyond the first, at most.
constexpr int32_t kMoreEpisodes = 5;

/// Uniform numbers in [0, 1) by position: of a generator, or of a tape prepared once.
class Draws {
 public:
  explicit Draws(const Rng& rng) : rng_(rng) {}
  explicit Draws(const double* tape) : tape_(tape) {}
  double uniform(uint64_t position) const {
    return tape_ != nullptr ? tape_[position] : rng_.uniform(position);
  }

 private:
  Rng rng_;
  const double* tape_ = nullptr;
};

/// Draws that one day of one pair may use: positions below these.
inline constexpr uint64_t kFirstDayDraws = 64, kLaterDayDraws = 64;
/// Positions that the laws of watching leave to whoever lets days pass.
inline constexpr uint64_t kOpenDraw = 0, kMomentDraw = 1;

/// Gamma(shape, 1), shape > 0, from 19 positions.
/// Source: Marsaglia and Tsang, ACM TOMS 26 (2000); six attempts, each taken with 95 % or more.
double gamma_draw(double shape, const Draws& draws, uint64_t position);
/// Beta(a, b) from 38 positions, as the share of two gammas.
double beta_draw(double a, double b, const Draws& draws, uint64_t position);

struct Show {
  bool movie = false;
  double unit = 0;       // minutes of an episode, or of the movie
  int32_t episodes = 1;  // 1 of a movie
  double total() const { return unit * episodes; }
};

/// Where a pair stands.
struct Watching {
  double seen = 0;  // minutes of the show, re-watching apart
  bool abandoned = false;
};
bool finished(const LongVideoConstants& c, const Show& show, double seen);

/// The first playback: its minutes, 0 < minutes <= total. A series: with probability .35 + .6 S
/// 1 + G episodes (G: one more with probability .6 S, at most 5), else 10 to 70 % of one; if
/// unfinished it is then abandoned with probability .35 (1 - S). A movie: F ~ Beta(3 S, 3 (1 - S))
/// of its runtime; it may be abandoned from the next day on (see docs/simulator.md).
double first_playback(const LongVideoConstants& c, const Show& show, double satisfaction,
                      const Draws& draws, Watching& watching);

struct LaterPlayback {
  double minutes = 0;  // 0: not played on this day
  bool rewatch = false;
};
/// A later day on which the user opens the platform. Unfinished and alive: resumed with
/// probability .75 S (a series: 1 + G episodes, no more than there are; a movie: Beta(2, 1) of the
/// rest), then, if still unfinished, abandoned with probability .35 (1 - S). A finished movie:
/// watched again with probability .03 S, for a new F of its runtime.
LaterPlayback later_day(const LongVideoConstants& c, const Show& show, double satisfaction,
                        const Draws& draws, Watching& watching);

/// Minutes of one roll-out from a discovery.
struct Viewing {
  double first = 0;  // of the first playback
  double week = 0;   // DWM: in [t0, t0 + 7 days), of all playbacks, cut at the window's end
  double all = 0;    // in [t0, t0 + (days.size() - 1) days), cut likewise
};
/// Lets days.size() - 1 days pass after the discovery; days[0] holds the draws of its own day. The
/// user opens each later day with probability open_rate, at an even moment, as at discovery.
Viewing roll_out(const LongVideoConstants& c, const Show& show, double satisfaction,
                 double open_rate, std::span<const Draws> days);

/// Common random numbers for E[DWM]: 256 roll-outs of eight days, the same for every pair.
class RollOuts {
 public:
  static constexpr int32_t kRollOuts = 256, kDays = 7;
  explicit RollOuts(uint64_t seed);
  /// Mean DWM in minutes, given a discovery. Thread-safe; some 20 us.
  double expected_week(const LongVideoConstants& c, const Show& show, double satisfaction,
                       double open_rate) const;
  /// P(DWM > minutes), given a discovery.
  double probability_above(const LongVideoConstants& c, const Show& show, double satisfaction,
                           double open_rate, double minutes) const;

 private:
  std::span<const Draws> days_of(int32_t roll_out) const;
  std::vector<double> tape_;
  std::vector<Draws> days_;  // [kRollOuts, kDays + 1], into tape_
};

/// RollOuts::expected_week by interpolation between some 27,000 of its values: for whole
/// catalogues. Minutes are taken as proportional to those of an episode or movie, which only the
/// window's cut at seven days disturbs. Off by less than 1 % in the mean, 10 % at worst (test).
class WeekTable {
 public:
  WeekTable(const LongVideoConstants& c, const RollOuts& roll_outs);
  /// Thread-safe.
  double expected_week(const Show& show, double satisfaction, double open_rate) const;

 private:
  double at(int32_t shape, double satisfaction, double open_rate) const;
  int32_t shapes_ = 0;          // of series by their episodes, then one of movies
  std::vector<float> minutes_;  // [shapes, kSatisfactions, kOpenRates] a minute of `unit`
};

}  // namespace retort
