// What is true in a simulated world: the exact click and reading laws of any (user, item, day) and
// the best scores that any learner could give. Reads DIR/truth of `retort simulate`.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "retort/common/file.h"
#include "retort/sim/truth.h"

namespace retort {

/// Source: methods E2. Users and items by their number in the world, days from 0. All methods are
/// const and thread-safe and cost O(dimensions). Indices out of range throw ArgumentError.
class Oracle {
 public:
  /// `world`: the folder that `simulate` wrote. Throws DataError.
  explicit Oracle(const fs::path& world);
  explicit Oracle(Truth truth);

  const World& world() const { return truth_.world; }
  const Masses& masses() const { return truth_.masses; }
  /// By the keys of the log, "u000123" and "i00042"; nullopt if the world has none such.
  std::optional<int32_t> find_user(std::string_view key) const;
  std::optional<int32_t> find_item(std::string_view key) const;
  /// Day of a moment (microseconds since 1970); before the first or after the last: that one.
  int32_t day_of(int64_t time) const;
  /// Whether the item exists on the day.
  bool alive(int32_t item, int32_t day) const;

  /// P(click) in a slot that is examined: sigma(eta).
  double p_click(int32_t user, int32_t item, int32_t day) const;
  /// P(T > threshold | click), threshold in seconds.
  double p_long(int32_t user, int32_t item, int32_t day, double threshold = 50) const;
  /// E[min(T, c) | click] in seconds.
  double expected_seconds(int32_t user, int32_t item, int32_t day) const;
  /// V = p_click * E[min(T, c) | click]: seconds gained by showing the item.
  double value(int32_t user, int32_t item, int32_t day) const;
  /// Probability e_u(i) that the legacy policy puts the item into a slot; 0 before its birth.
  double exposure(int32_t user, int32_t item, int32_t day) const;
  /// w_ui = act_u e_u(i) p_click.
  double click_mass(int32_t user, int32_t item, int32_t day) const;

  /// PMI = ln(w_ui / (w_u. w_.i)) + ln(sum w) of the day; minus infinity before the item's birth.
  double pmi(int32_t user, int32_t item, int32_t day) const;
  /// ln(w_ui / w_u.): the pmi is this minus ln of the law that negatives are drawn by.
  double log_click_share(int32_t user, int32_t item, int32_t day) const;
  /// p*_z = sigma(PMI - ln n) p_long: probability that a row of the protocol (clicks, and n
  /// negatives a click by the day's click frequency) is a read. The best score for AUC of reads.
  double best_read_score(int32_t user, int32_t item, int32_t day, double negatives,
                         double threshold = 50) const;
  /// t - q in the top tenth of the items.
  bool click_bait(int32_t item) const;

 private:
  void check_range(int32_t user, int32_t item, int32_t day) const;
  Truth truth_;
  std::vector<double> log_pi_total_;  // [D] ln of the sum that normalises pi
};

}  // namespace retort
