// Medians of alternated runs, for benches that compare programs with each other: a noisy machine
// slows all of them alike, and the ratios stay.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "retort/common/table.h"

namespace retort {

struct Contender {
  std::string name;
  std::function<void()> run;
  double work = 1;                // units done by one run, for the rate
  std::vector<double> seconds{};  // one a round
};

inline double seconds_of(const std::function<void()>& run) {
  const auto begin = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

inline double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
}

/// Runs every contender once a round, after one unmeasured round.
inline void alternate(std::vector<Contender>& contenders, int rounds, bool warm_up = true) {
  for (int round = warm_up ? -1 : 0; round < rounds; ++round)
    for (Contender& one : contenders) {
      const double seconds = seconds_of(one.run);
      if (round >= 0) one.seconds.push_back(seconds);
    }
}

/// Median and range of seconds(a) / seconds(b), round by round: how many times b is faster.
inline std::string ratio(const Contender& a, const Contender& b) {
  std::vector<double> ratios;
  for (size_t i = 0; i < a.seconds.size(); ++i)
    ratios.push_back(a.seconds[i] / a.work / (b.seconds[i] / b.work));
  return fmt::format("{:.2f} ({:.2f} to {:.2f})", quantile(ratios, 0.5), quantile(ratios, 0),
                     quantile(ratios, 1));
}

/// A table of milliseconds a unit of work, units a second and the speed against the first.
inline std::string table_of(const std::vector<Contender>& contenders, const std::string& unit) {
  Table table({"", "ms/" + unit, unit + "/s", "times the first (range)"});
  for (const Contender& one : contenders) {
    const double each = quantile(one.seconds, 0.5) / one.work;
    table.add({one.name, fmt::format("{:.3f}", 1e3 * each), fmt::format("{:.0f}", 1 / each),
               ratio(contenders.front(), one)});
  }
  return table.text();
}

}  // namespace retort
