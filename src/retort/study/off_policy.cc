#include "retort/study/off_policy.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "retort/common/error.h"
#include "retort/common/text.h"
#include "retort/sim/law.h"
#include "retort/study/abtest_section.h"

namespace retort {
namespace {

constexpr double kThinEffective = 100;  // effective impressions below which an interval says little
constexpr int64_t kThinRewarded = 30;   // rewarded impressions below which a bootstrap says little
constexpr double kLargeShare = 0.1;     // of all weight, in one impression
constexpr double kFarFromOne = 0.9;  // of the 95 % interval: some 3.5 deviations of the mean weight

double total_examination(int32_t slots) {
  double sum = 0;
  for (int32_t position = 1; position <= slots; ++position) sum += examination(position);
  return sum;
}

/// The position at which the arm shows the item; 0: nowhere.
int32_t shown_at(const Slates& slates, int32_t user, int32_t item) {
  for (int32_t position = 1; position <= slates.slots; ++position)
    if (slates.at(user, position) == item) return position;
  return 0;
}

std::vector<OffPolicyRow> same_slot(std::span<const LoggedSlot> log, const Slates& slates,
                                    const std::function<double(int32_t, int32_t)>& model) {
  std::vector<OffPolicyRow> rows;
  for (const LoggedSlot& slot : log) {
    if (slot.position > slates.slots) continue;
    const int32_t own = slates.at(slot.user, slot.position);
    const double seen = examination(slot.position);
    rows.push_back({.user = slot.user,
                    .weight = own == slot.item ? 1 / slot.propensity : 0,
                    .reward = slot.reward,
                    .predicted = own == slot.item ? seen * model(slot.user, slot.item) : 0,
                    .direct = own >= 0 ? seen * model(slot.user, own) : 0});
  }
  return rows;
}

std::vector<OffPolicyRow> any_slot(std::span<const LoggedSlot> log, const Slates& slates,
                                   const std::function<double(int32_t, int32_t)>& model) {
  const double all = total_examination(slates.slots);
  const auto users = slates.items.size() / static_cast<size_t>(slates.slots);
  std::vector<double> direct(users, -1);  // mean over the arm's slots
  const auto direct_of = [&](int32_t user) {
    double& known = direct[static_cast<size_t>(user)];
    if (known >= 0) return known;
    known = 0;
    for (int32_t position = 1; position <= slates.slots; ++position)
      if (const int32_t item = slates.at(user, position); item >= 0)
        known += examination(position) * model(user, item) / slates.slots;
    return known;
  };
  const auto used = [&](const LoggedSlot& slot) {
    return slot.position <= slates.slots && slot.propensity < 1;
  };
  double logged = 0, count = 0;
  for (const LoggedSlot& slot : log)
    if (used(slot)) {
      logged += examination(slot.position);
      count += 1;
    }
  const double scale = logged > 0 ? all / slates.slots / (logged / count) : 1;
  std::vector<OffPolicyRow> rows;
  for (const LoggedSlot& slot : log) {
    if (!used(slot)) continue;
    const int32_t position = shown_at(slates, slot.user, slot.item);
    const double seen = examination(slot.position);
    rows.push_back({.user = slot.user,
                    .weight = position > 0 ? examination(position) / (all * slot.propensity) : 0,
                    .reward = scale * slot.reward,
                    .predicted = position > 0 ? scale * seen * model(slot.user, slot.item) : 0,
                    .direct = direct_of(slot.user)});
  }
  return rows;
}

void add_warnings(OffPolicyEstimate& estimate) {
  if (estimate.effective < kThinEffective)
    estimate.warnings.push_back(fmt::format("thin support: {:.0f} effective impressions of {}",
                                            std::floor(estimate.effective),
                                            with_thousands(estimate.rows)));
  if (estimate.rewarded < kThinRewarded)
    estimate.warnings.push_back(fmt::format("few rewards: {} of {} matched impressions have one",
                                            estimate.rewarded, with_thousands(estimate.matched)));
  if (estimate.largest > kLargeShare)
    estimate.warnings.push_back(
        fmt::format("one impression carries {:.0f}% of the weight", 100 * estimate.largest));
  const Interval& mean = estimate.mean_weight;
  if (std::abs(mean.value - 1) > kFarFromOne * (mean.high - mean.low))
    estimate.warnings.push_back(fmt::format(
        "weights average {:.2f}, not 1: the log's policy leaves out some of what the arm shows, or "
        "its propensities are wrong",
        mean.value));
}

}  // namespace

std::vector<OffPolicyRow> off_policy_rows(std::span<const LoggedSlot> log, const Slates& slates,
                                          SlotMatch match,
                                          const std::function<double(int32_t, int32_t)>& model) {
  for (const LoggedSlot& slot : log)
    check(slot.propensity > 0 && slot.propensity <= 1 && slot.position >= 1,
          "off_policy_rows: propensity {} at position {}", slot.propensity, slot.position);
  return match == SlotMatch::kSame ? same_slot(log, slates, model) : any_slot(log, slates, model);
}

OffPolicyEstimate estimate_off_policy(std::span<const OffPolicyRow> rows, int64_t users,
                                      const BootstrapOptions& options) {
  if (rows.empty())
    fail<DataError>(
        "no logged impression to estimate from: none in the time, or none whose slot was drawn "
        "(propensity below 1)");
  const std::vector<double> none(static_cast<size_t>(users));
  UserRatio ips{none, none}, snips{none, none}, robust{none, none}, direct{none, none},
      weight{none, none};
  OffPolicyEstimate estimate;
  double squares = 0, total = 0, largest = 0;
  for (const OffPolicyRow& row : rows) {
    const auto user = static_cast<size_t>(row.user);
    ips.numerator[user] += row.weight * row.reward;
    ips.denominator[user] += 1;
    weight.numerator[user] += row.weight;
    robust.numerator[user] += row.direct + row.weight * (row.reward - row.predicted);
    direct.numerator[user] += row.direct;
    total += row.weight;
    squares += row.weight * row.weight;
    largest = std::max(largest, row.weight);
    estimate.matched += row.weight > 0 ? 1 : 0;
    estimate.rewarded += row.weight > 0 && row.reward > 0 ? 1 : 0;
  }
  robust.denominator = direct.denominator = weight.denominator = ips.denominator;
  snips.numerator = ips.numerator;
  snips.denominator = weight.numerator;
  estimate.rows = static_cast<int64_t>(rows.size());
  estimate.effective = squares > 0 ? total * total / squares : 0;
  estimate.largest = total > 0 ? largest / total : 0;
  const UserRatio* const ratios[] = {&ips, &snips, &robust, &direct, &weight};
  Interval* const intervals[] = {&estimate.ips, &estimate.snips, &estimate.doubly_robust,
                                 &estimate.direct, &estimate.mean_weight};
  const auto replicates = Bootstrap(users, options)
                              .run(static_cast<int32_t>(std::size(ratios)),
                                   [&](std::span<const uint8_t> weights, std::span<double> out) {
                                     for (size_t k = 0; k < std::size(ratios); ++k)
                                       out[k] = ratios[k]->value(weights);
                                   });
  for (size_t k = 0; k < std::size(ratios); ++k)
    *intervals[k] = interval_of(ratios[k]->value(), replicates[k]);
  add_warnings(estimate);
  return estimate;
}

Json to_json(const OffPolicyEstimate& estimate) {
  return Json{{"ips", json_of(estimate.ips)},
              {"snips", json_of(estimate.snips)},
              {"doubly_robust", json_of(estimate.doubly_robust)},
              {"direct", json_of(estimate.direct)},
              {"mean_weight", json_of(estimate.mean_weight)},
              {"impressions", estimate.rows},
              {"matched", estimate.matched},
              {"rewarded", estimate.rewarded},
              {"effective", estimate.effective},
              {"largest_share", estimate.largest},
              {"warnings", estimate.warnings}};
}

}  // namespace retort
