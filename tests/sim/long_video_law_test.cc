#include "retort/sim/long_video_law.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace retort {
namespace {

const LongVideoConstants kLaw;
const Show kSeries{false, 30, 10};
const Show kFilm{true, 100, 1};

/// Draws that all have one value, so that every decision of the law is known.
class Constant {
 public:
  explicit Constant(double value) { tape_.fill(value); }
  Draws draws() const { return Draws(tape_.data()); }

 private:
  std::array<double, kFirstDayDraws> tape_;
};

struct Moments {
  double mean = 0, deviation = 0;
};
template <class Draw>
Moments moments(int n, const Draw& draw) {
  double sum = 0, square = 0;
  for (int k = 0; k < n; ++k) {
    const double x = draw(Draws(Rng(7, "law").fork(static_cast<uint64_t>(k))));
    sum += x;
    square += x * x;
  }
  const double mean = sum / n;
  return {mean, std::sqrt(square / n - mean * mean)};
}

TEST(GammaDraw, HasItsMeanAndDeviation) {
  for (const double shape : {0.3, 1.0, 4.0}) {
    const Moments m =
        moments(60'000, [&](const Draws& draws) { return gamma_draw(shape, draws, 0); });
    EXPECT_NEAR(m.mean, shape, 0.02 * (1 + shape)) << shape;
    EXPECT_NEAR(m.deviation, std::sqrt(shape), 0.03 * (1 + shape)) << shape;
  }
}

TEST(BetaDraw, HasItsMeanAndDeviation) {
  for (const double s : {0.1, 0.5, 0.9}) {  // Beta(3 s, 3 (1 - s)): variance s (1 - s) / 4
    const Moments m = moments(
        60'000, [&](const Draws& draws) { return beta_draw(3 * s, 3 * (1 - s), draws, 0); });
    EXPECT_NEAR(m.mean, s, 0.005);
    EXPECT_NEAR(m.deviation, std::sqrt(s * (1 - s) / 4), 0.005);
  }
}

TEST(FirstPlayback, OfASeriesIsWholeEpisodesOrAPartOfOne) {
  Watching watching;
  // 0 < .35 + .6 S; five more episodes, as 0 < .6 S; abandoned, as 0 < .35 (1 - S)
  EXPECT_DOUBLE_EQ(first_playback(kLaw, kSeries, 0.5, Constant(0).draws(), watching), 180);
  EXPECT_DOUBLE_EQ(watching.seen, 180);
  EXPECT_TRUE(watching.abandoned);
  watching = {};  // .31 > .6 S = .3: no more than one; .31 > .175: not abandoned
  EXPECT_DOUBLE_EQ(first_playback(kLaw, kSeries, 0.5, Constant(0.31).draws(), watching), 30);
  EXPECT_FALSE(watching.abandoned);
  watching = {};  // .7 > .35 + .3: .1 + .6 * .7 of an episode
  EXPECT_DOUBLE_EQ(first_playback(kLaw, kSeries, 0.5, Constant(0.7).draws(), watching), 0.52 * 30);
}

TEST(FirstPlayback, SeesNoMoreThanThereIs) {
  const Show brief{false, 20, 4};
  Watching watching;
  EXPECT_DOUBLE_EQ(first_playback(kLaw, brief, 0.9, Constant(0).draws(), watching), 80);
  EXPECT_TRUE(finished(kLaw, brief, watching.seen));
  EXPECT_FALSE(watching.abandoned);  // what is finished cannot be
}

TEST(FirstPlayback, AMovieIsNotAbandonedOnItsFirstDay) {
  Watching watching;
  const double minutes = first_playback(kLaw, kFilm, 0.1, Constant(0.2).draws(), watching);
  EXPECT_LT(minutes, 95);
  EXPECT_FALSE(watching.abandoned);  // .2 < .315 = .35 (1 - S) would abandon a series
}

TEST(FirstPlayback, OfAMovieIsABetaShareOfItsRuntime) {
  const Moments m = moments(40'000, [](const Draws& draws) {
    Watching watching;
    return first_playback(kLaw, kFilm, 0.4, draws, watching);
  });
  EXPECT_NEAR(m.mean, 40, 0.5);
  EXPECT_NEAR(m.deviation, 100 * std::sqrt(0.4 * 0.6 / 4), 0.5);
}

TEST(LaterDay, ResumesASeriesByEpisodesUpToItsEnd) {
  Watching watching{40, false};
  const LaterPlayback one = later_day(kLaw, kSeries, 0.5, Constant(0.35).draws(), watching);
  EXPECT_DOUBLE_EQ(one.minutes, 30);  // .35 < .75 S = .375, > .6 S
  EXPECT_FALSE(one.rewatch);
  EXPECT_DOUBLE_EQ(watching.seen, 70);
  EXPECT_FALSE(watching.abandoned);
  watching = {280, false};
  EXPECT_DOUBLE_EQ(later_day(kLaw, kSeries, 0.5, Constant(0).draws(), watching).minutes, 20);
  EXPECT_DOUBLE_EQ(later_day(kLaw, kSeries, 0.5, Constant(0).draws(), watching).minutes, 0);
}

TEST(LaterDay, MayPassWithoutPlaybackAndEndInAbandonment) {
  Watching watching{40, false};
  EXPECT_EQ(later_day(kLaw, kSeries, 0.1, Constant(0.2).draws(), watching).minutes, 0);
  EXPECT_TRUE(watching.abandoned);  // .2 > .075 = .75 S, < .315 = .35 (1 - S)
  EXPECT_EQ(later_day(kLaw, kSeries, 0.1, Constant(0).draws(), watching).minutes, 0);
}

TEST(LaterDay, WatchesOnAMovieThenOnlyAgain) {
  Watching watching{40, false};
  const LaterPlayback more = later_day(kLaw, kFilm, 0.5, Constant(0.25).draws(), watching);
  EXPECT_DOUBLE_EQ(more.minutes, 30);  // sqrt(.25) of 60
  watching = {95, false};              // finished
  EXPECT_EQ(later_day(kLaw, kFilm, 0.5, Constant(0.02).draws(), watching).minutes, 0);
  const LaterPlayback again = later_day(kLaw, kFilm, 0.5, Constant(0.01).draws(), watching);
  EXPECT_TRUE(again.rewatch);  // .01 < .03 S
  EXPECT_GT(again.minutes, 0);
  EXPECT_LE(again.minutes, 100);
  EXPECT_DOUBLE_EQ(watching.seen, 95);
}

TEST(RollOut, OfAUserWhoNeverReturnsIsTheFirstPlayback) {
  const Constant tape(0.31);
  const std::vector<Draws> own(8, tape.draws());
  const Viewing viewing = roll_out(kLaw, kSeries, 0.5, 0, own);
  EXPECT_DOUBLE_EQ(viewing.first, 30);
  EXPECT_DOUBLE_EQ(viewing.week, 30);
}

// Hand table: S = .5, every draw .31, opens every day: one episode of 30 minutes a day at the same
// moment; day 7 lies at the window's open end.
TEST(RollOut, CountsSevenDaysHalfOpen) {
  const Constant tape(0.31);
  const std::vector<Draws> days(31, tape.draws());
  const Viewing viewing = roll_out(kLaw, kSeries, 0.5, 1, days);
  EXPECT_DOUBLE_EQ(viewing.week, 7 * 30);
  EXPECT_DOUBLE_EQ(viewing.all, 10 * 30);  // the series has ten
}

TEST(RollOut, CutsAPlaybackAtTheWindowsEnd) {
  const Constant late(0.31);
  std::array<double, kLaterDayDraws> early;
  early.fill(0.31);
  early[kMomentDraw] = 0.31 - 10.0 / 1440;  // ten minutes before the window closes
  std::vector<Draws> days(8, late.draws());
  days[7] = Draws(early.data());
  EXPECT_NEAR(roll_out(kLaw, kSeries, 0.5, 1, days).week, 7 * 30 + 10, 1e-9);
}

TEST(RollOuts, MeanGrowsWithSatisfactionAndReturns) {
  const RollOuts roll_outs(1);
  const auto mean = [&](const Show& show, double s, double open) {
    return roll_outs.expected_week(kLaw, show, s, open);
  };
  for (const Show& show : {kSeries, kFilm}) {
    EXPECT_LT(mean(show, 0.2, 0.5), mean(show, 0.5, 0.5));
    EXPECT_LT(mean(show, 0.5, 0.5), mean(show, 0.8, 0.5));
    EXPECT_LT(mean(show, 0.5, 0.2), mean(show, 0.5, 0.9));
    EXPECT_EQ(mean(show, 0.5, 0.5), RollOuts(1).expected_week(kLaw, show, 0.5, 0.5));
  }
}

// Against an average over fresh random numbers: 256 roll-outs leave sd(DWM) / 16.
TEST(RollOuts, AgreeWithFreshRandomNumbers) {
  const RollOuts roll_outs(3);
  for (const Show& show : {kSeries, kFilm}) {
    const double s = 0.5, open = 0.6;
    int k = 0;
    const Moments m = moments(20'000, [&](const Draws&) {
      std::vector<Draws> days;
      const Rng rng = Rng(9, "fresh").fork(static_cast<uint64_t>(k++));
      for (uint64_t day = 0; day < 8; ++day) days.emplace_back(rng.fork(day));
      return roll_out(kLaw, show, s, open, days).week;
    });
    EXPECT_NEAR(roll_outs.expected_week(kLaw, show, s, open), m.mean, 4 * m.deviation / 16);
  }
}

TEST(RollOuts, ProbabilityAboveFallsFromOneToNone) {
  const RollOuts roll_outs(1);
  EXPECT_EQ(roll_outs.probability_above(kLaw, kFilm, 0.5, 0.5, 0), 1);
  const double half = roll_outs.probability_above(kLaw, kFilm, 0.5, 0.5, 60);
  EXPECT_GT(half, 0.2);
  EXPECT_LT(half, 0.8);
  EXPECT_EQ(roll_outs.probability_above(kLaw, kFilm, 0.5, 0.5, 1e6), 0);
}

TEST(WeekTable, StaysCloseToTheRollOuts) {
  const RollOuts roll_outs(3);
  const WeekTable table(kLaw, roll_outs);
  const Rng rng(11, "pairs");
  double error = 0, worst = 0;
  const int pairs = 300;
  for (uint64_t k = 0; k < pairs; ++k) {
    const Rng own = rng.fork(k);
    const bool movie = k % 2 == 1;
    const double lengths[] = {22, 30, 45, 55};
    const Show show{movie, movie ? 60 + 100 * own.uniform(0) : lengths[own.below(4, 0)],
                    movie ? 1 : static_cast<int32_t>(4 + own.below(60, 1))};
    const double s = 0.05 + 0.9 * own.uniform(2), open = 0.1 + 0.85 * own.uniform(3);
    const double exact = roll_outs.expected_week(kLaw, show, s, open);
    const double ratio = std::abs(table.expected_week(show, s, open) / exact - 1);
    error += ratio / pairs;
    worst = std::max(worst, ratio);
  }
  EXPECT_LT(error, 0.01);
  EXPECT_LT(worst, 0.1);
}

}  // namespace
}  // namespace retort
