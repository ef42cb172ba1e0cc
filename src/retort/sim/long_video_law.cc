#include "retort/sim/long_video_law.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "retort/common/thread_pool.h"

namespace retort {
namespace {

// Positions in a day's draws; 0 and 1 are kOpenDraw and kMomentDraw.
constexpr uint64_t kWhole = 2, kPart = 3, kAbandon = 4, kEpisodes = 5;  // to 9
constexpr uint64_t kResume = 10, kRest = 11, kRewatch = 12;
constexpr uint64_t kFraction = 16;  // of a movie, to 53

constexpr double kLeastMinutes = 0.05;  // a click plays something
constexpr double kDayMinutes = 1440, kWeekMinutes = 7 * kDayMinutes;
constexpr uint64_t kGammaAttempts = 6, kGammaDraws = 1 + 3 * kGammaAttempts;

// The grid of WeekTable. Eight sessions of at most six episodes see no more than 48.
constexpr int32_t kSatisfactions = 33, kOpenRates = 17, kMostEpisodes = 48;
constexpr double kUsualEpisode = 45, kUsualRuntime = 105;

double episodes_minutes(const LongVideoConstants& c, const Show& show, double satisfaction,
                        const Draws& draws) {
  int32_t more = 0;
  while (more < kMoreEpisodes &&
         draws.uniform(kEpisodes + static_cast<uint64_t>(more)) < c.next_episode * satisfaction) {
    ++more;
  }
  return (1 + more) * show.unit;
}

double movie_minutes(const LongVideoConstants& c, const Show& show, double satisfaction,
                     const Draws& draws) {
  return show.unit * beta_draw(c.movie_spread * satisfaction, c.movie_spread * (1 - satisfaction),
                               draws, kFraction);
}

void maybe_abandon(const LongVideoConstants& c, const Show& show, double satisfaction,
                   const Draws& draws, Watching& watching) {
  if (finished(c, show, watching.seen)) return;
  if (draws.uniform(kAbandon) < c.abandon * (1 - satisfaction)) watching.abandoned = true;
}

}  // namespace

double gamma_draw(double shape, const Draws& draws, uint64_t position) {
  double boost = 1;
  if (shape < 1) {  // Gamma(a) = Gamma(a + 1) U^{1 / a}
    boost = std::pow(1 - draws.uniform(position), 1 / shape);
    shape += 1;
  }
  const double d = shape - 1.0 / 3, scale = 1 / std::sqrt(9 * d);
  for (uint64_t attempt = 0; attempt < kGammaAttempts; ++attempt) {
    const uint64_t at = position + 1 + 3 * attempt;
    const double radius = std::sqrt(-2 * std::log(1 - draws.uniform(at)));
    const double x = radius * std::cos(2 * std::numbers::pi * draws.uniform(at + 1));
    const double v = std::pow(1 + scale * x, 3);
    if (v <= 0) continue;
    const double accept = std::log(1 - draws.uniform(at + 2));
    if (accept < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v * boost;
  }
  return d * boost;  // all six refused: less than once in 10^7 draws
}

double beta_draw(double a, double b, const Draws& draws, uint64_t position) {
  const double x = gamma_draw(std::max(a, 1e-3), draws, position);
  const double y = gamma_draw(std::max(b, 1e-3), draws, position + kGammaDraws);
  return x + y > 0 ? x / (x + y) : a / (a + b);  // both vanish only where a and b nearly do
}

bool finished(const LongVideoConstants& c, const Show& show, double seen) {
  return seen >= show.total() * (show.movie ? c.movie_finished : 1) - 1e-6;
}

double first_playback(const LongVideoConstants& c, const Show& show, double satisfaction,
                      const Draws& draws, Watching& watching) {
  double minutes = 0;
  if (show.movie) {
    minutes = movie_minutes(c, show, satisfaction, draws);
  } else if (draws.uniform(kWhole) < c.start_base + c.start_satisfaction * satisfaction) {
    minutes = episodes_minutes(c, show, satisfaction, draws);
  } else {
    minutes = show.unit * (c.partial_low + (c.partial_high - c.partial_low) * draws.uniform(kPart));
  }
  minutes = std::clamp(minutes, kLeastMinutes, show.total());
  watching.seen = minutes;
  if (!show.movie) maybe_abandon(c, show, satisfaction, draws, watching);
  return minutes;
}

LaterPlayback later_day(const LongVideoConstants& c, const Show& show, double satisfaction,
                        const Draws& draws, Watching& watching) {
  if (finished(c, show, watching.seen)) {
    if (!show.movie || draws.uniform(kRewatch) >= c.rewatch * satisfaction) return {};
    const double minutes = movie_minutes(c, show, satisfaction, draws);
    return {std::clamp(minutes, kLeastMinutes, show.total()), true};
  }
  if (watching.abandoned) return {};
  LaterPlayback playback;
  const double rest = show.total() - watching.seen;
  if (draws.uniform(kResume) < c.resume * satisfaction) {
    playback.minutes = show.movie ? rest * std::sqrt(draws.uniform(kRest))
                                  : std::min(rest, episodes_minutes(c, show, satisfaction, draws));
    watching.seen += playback.minutes;
  }
  maybe_abandon(c, show, satisfaction, draws, watching);
  return playback;
}

Viewing roll_out(const LongVideoConstants& c, const Show& show, double satisfaction,
                 double open_rate, std::span<const Draws> days) {
  Watching watching;
  Viewing viewing;
  const double start = kDayMinutes * days[0].uniform(kMomentDraw);
  const double end = kDayMinutes * static_cast<double>(days.size() - 1);
  viewing.first = first_playback(c, show, satisfaction, days[0], watching);
  viewing.week = viewing.all = viewing.first;
  for (size_t day = 1; day < days.size(); ++day) {
    if (days[day].uniform(kOpenDraw) >= open_rate) continue;
    const double minutes = later_day(c, show, satisfaction, days[day], watching).minutes;
    const double since =
        kDayMinutes * (static_cast<double>(day) + days[day].uniform(kMomentDraw)) - start;
    viewing.week += std::min(minutes, std::max(0.0, kWeekMinutes - since));
    viewing.all += std::min(minutes, std::max(0.0, end - since));
    if (watching.abandoned) break;
  }
  return viewing;
}

RollOuts::RollOuts(uint64_t seed) {
  constexpr uint64_t kEach = kFirstDayDraws + kDays * kLaterDayDraws;
  tape_.resize(kRollOuts * kEach);
  const Rng rng(seed, "roll-outs");
  for (size_t k = 0; k < tape_.size(); ++k) tape_[k] = rng.uniform(k);
  for (uint64_t r = 0; r < kRollOuts; ++r) {
    const double* own = tape_.data() + r * kEach;
    days_.emplace_back(own);
    for (uint64_t day = 0; day < kDays; ++day) {
      days_.emplace_back(own + kFirstDayDraws + day * kLaterDayDraws);
    }
  }
}

std::span<const Draws> RollOuts::days_of(int32_t roll_out) const {
  return {days_.data() + static_cast<size_t>(roll_out) * (kDays + 1), kDays + 1};
}

double RollOuts::expected_week(const LongVideoConstants& c, const Show& show, double satisfaction,
                               double open_rate) const {
  double sum = 0;
  for (int32_t r = 0; r < kRollOuts; ++r) {
    sum += roll_out(c, show, satisfaction, open_rate, days_of(r)).week;
  }
  return sum / kRollOuts;
}

double RollOuts::probability_above(const LongVideoConstants& c, const Show& show,
                                   double satisfaction, double open_rate, double minutes) const {
  int32_t above = 0;
  for (int32_t r = 0; r < kRollOuts; ++r) {
    above += roll_out(c, show, satisfaction, open_rate, days_of(r)).week > minutes ? 1 : 0;
  }
  return static_cast<double>(above) / kRollOuts;
}

WeekTable::WeekTable(const LongVideoConstants& c, const RollOuts& roll_outs)
    : shapes_(kMostEpisodes + 1) {
  minutes_.resize(static_cast<size_t>(shapes_) * kSatisfactions * kOpenRates);
  parallel_for(0, int64_t{shapes_} * kSatisfactions, 8, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      const auto shape = static_cast<int32_t>(k / kSatisfactions);
      const bool movie = shape == kMostEpisodes;
      const Show show{movie, movie ? kUsualRuntime : kUsualEpisode, movie ? 1 : shape + 1};
      const double satisfaction = static_cast<double>(k % kSatisfactions) / (kSatisfactions - 1);
      for (int32_t o = 0; o < kOpenRates; ++o) {
        const double open_rate = static_cast<double>(o) / (kOpenRates - 1);
        minutes_[static_cast<size_t>(k * kOpenRates + o)] = static_cast<float>(
            roll_outs.expected_week(c, show, satisfaction, open_rate) / show.unit);
      }
    }
  });
}

double WeekTable::at(int32_t shape, double satisfaction, double open_rate) const {
  const auto place = [](double x, int32_t count, int32_t& low) {
    const double scaled = std::clamp(x, 0.0, 1.0) * (count - 1);
    low = std::min(static_cast<int32_t>(scaled), count - 2);
    return scaled - low;
  };
  int32_t s = 0, o = 0;
  const double more_s = place(satisfaction, kSatisfactions, s);
  const double more_o = place(open_rate, kOpenRates, o);
  const float* cell = minutes_.data() + (int64_t{shape} * kSatisfactions + s) * kOpenRates + o;
  const auto between = [more_o](const float* row) { return row[0] + more_o * (row[1] - row[0]); };
  return between(cell) + more_s * (between(cell + kOpenRates) - between(cell));
}

double WeekTable::expected_week(const Show& show, double satisfaction, double open_rate) const {
  const int32_t shape = show.movie ? kMostEpisodes : std::min(show.episodes, kMostEpisodes) - 1;
  return show.unit * at(shape, satisfaction, open_rate);
}

}  // namespace retort
