// What another policy would have brought, from a log alone: inverse propensity scores, their
// self-normalised form and the doubly robust estimate, slot by slot.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "retort/common/json.h"
#include "retort/metric/bootstrap.h"

namespace retort {

/// What a policy shows: for each of U users a list of L items, -1 where it has none.
struct Slates {
  int32_t slots = 0;                                  // L
  std::vector<int32_t> items;                         // [U, L]
  int32_t at(int32_t user, int32_t position) const {  // position from 1
    return items[static_cast<size_t>(user) * static_cast<size_t>(slots) +
                 static_cast<size_t>(position - 1)];
  }
};

/// One logged impression: `user` of 0 .. U - 1, the item that the logging policy put there with
/// probability `propensity`, and what came of it.
struct LoggedSlot {
  int32_t user = 0, item = 0, position = 0;
  double propensity = 0, reward = 0;
};

/// Which logged slots speak of a slot of the arm.
///   kSame  the same position: assumes that what happens in a slot depends on user, item and
///          position alone.  w = 1[item = s(position)] / e
///   kAny   every position: assumes besides that a slot is examined with x(position) = 1 /
///          log2(position + 1) and that what happens then depends on user and item alone.
///          w = 1[item = s(p)] x(p) / (e sum_p x(p)); rewards are multiplied by the mean of x over
///          the arm's slots and divided by that over the logged ones. Slots of propensity 1, which
///          the logging policy did not draw, are left out.
/// Both have the mean 1 where the log's policy may show everything that the arm does.
/// Source: Li, Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay & Wen, "Offline evaluation of ranking
/// policies with click models", KDD 2018 (item-position and position-based estimators).
enum class SlotMatch : uint8_t { kSame, kAny };

/// A row of the estimators: its weight w, reward Y, the model's reward q of what was shown, and the
/// model's reward of what the arm shows instead.
struct OffPolicyRow {
  int32_t user = 0;
  double weight = 0, reward = 0, predicted = 0, direct = 0;
};

/// `model(user, item)`: a guess, made without these rows, of the reward at an examined slot; a slot
/// has x(position) of it. Positions beyond the arm's slots are left out.
std::vector<OffPolicyRow> off_policy_rows(
    std::span<const LoggedSlot> log, const Slates& slates, SlotMatch match,
    const std::function<double(int32_t user, int32_t item)>& model);

struct OffPolicyEstimate {
  Interval ips, snips, doubly_robust;  // reward an impression, 95 % by bootstrap over users
  Interval direct;                     // mean of the model's rewards, as wrong as the model is
  Interval mean_weight;                // 1 where the log covers the arm
  int64_t rows = 0, matched = 0;       // impressions; those of weight above 0
  int64_t rewarded = 0;                // matched ones with a reward
  double effective = 0;                // (sum w)^2 / sum w^2
  double largest = 0;                  // share of the largest weight
  std::vector<std::string> warnings;   // why not to believe it
};

/// ips = sum w Y / n; snips = sum w Y / sum w; doubly robust = sum [direct + w (Y - q)] / n.
/// The first is unbiased if the propensities are right, positive for everything that the arm shows,
/// and the match's assumption holds; the last also, and with less noise the better the model, or if
/// the model is right instead of the propensities. Throws DataError where there are no rows.
/// Source: Horvitz & Thompson 1952; Swaminathan & Joachims, NeurIPS 2015; Dudik, Langford & Li,
/// ICML 2011; effective size: Kish 1965.
OffPolicyEstimate estimate_off_policy(std::span<const OffPolicyRow> rows, int64_t users,
                                      const BootstrapOptions& options);

/// Its members by name.
Json to_json(const OffPolicyEstimate& estimate);

}  // namespace retort
