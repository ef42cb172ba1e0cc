// Oracles: tables worked by hand, and the exact value of a slate in a small simulated feed over
// many logs of its own policy.
#include "retort/study/off_policy.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/sim/law.h"
#include "retort/sim/oracle.h"
#include "retort/sim/policy.h"

namespace retort {
namespace {

using testing::Contains;
using testing::HasSubstr;

const double kSecond = 1 / std::log2(3.0);  // examination of position 2

/// Two users, two slots. The arm shows user 0 items 5, 6 and user 1 items 7, 5.
const Slates kSlates{2, {5, 6, 7, 5}};
const std::vector<LoggedSlot> kLog{
    {0, 5, 1, 0.25, 8},   // user 0 saw what the arm shows there
    {0, 9, 2, 0.50, 3},   // another item
    {1, 5, 1, 0.10, 40},  // what the arm shows in the other slot
    {1, 5, 2, 0.50, 6},
};
double model(int32_t user, int32_t item) { return user == 0 && item == 5 ? 10 : 2; }

TEST(OffPolicyRows, SameSlotsByHand) {
  const auto rows = off_policy_rows(kLog, kSlates, SlotMatch::kSame, model);
  ASSERT_EQ(rows.size(), 4u);
  const double weights[] = {4, 0, 0, 2}, direct[] = {10, 2 * kSecond, 2, 2 * kSecond};
  for (size_t row = 0; row < 4; ++row) {
    EXPECT_DOUBLE_EQ(rows[row].weight, weights[row]);
    EXPECT_DOUBLE_EQ(rows[row].direct, direct[row]);
    EXPECT_DOUBLE_EQ(rows[row].reward, kLog[row].reward);
  }
  EXPECT_DOUBLE_EQ(rows[0].predicted, 10);
  EXPECT_DOUBLE_EQ(rows[3].predicted, 2 * kSecond);

  const OffPolicyEstimate got = estimate_off_policy(rows, 2, {.resamples = 20});
  EXPECT_DOUBLE_EQ(got.ips.value, (4 * 8 + 2 * 6) / 4.0);
  EXPECT_DOUBLE_EQ(got.snips.value, (4 * 8 + 2 * 6) / 6.0);
  EXPECT_DOUBLE_EQ(got.direct.value, (12 + 4 * kSecond) / 4);
  EXPECT_DOUBLE_EQ(got.doubly_robust.value,
                   (12 + 4 * kSecond + 4 * (8 - 10) + 2 * (6 - 2 * kSecond)) / 4);
  EXPECT_DOUBLE_EQ(got.mean_weight.value, 1.5);
  EXPECT_EQ(got.rows, 4);
  EXPECT_EQ(got.matched, 2);
  EXPECT_EQ(got.rewarded, 2);
  EXPECT_DOUBLE_EQ(got.effective, 36.0 / 20);
  EXPECT_DOUBLE_EQ(got.largest, 4.0 / 6);
  EXPECT_THAT(got.warnings, Contains(HasSubstr("thin support: 1 effective")));
  EXPECT_THAT(got.warnings, Contains(HasSubstr("few rewards: 2 of 2 matched")));
  EXPECT_THAT(got.warnings, Contains(HasSubstr("67% of the weight")));
}

TEST(OffPolicyRows, AnySlotByHand) {
  const auto rows = off_policy_rows(kLog, kSlates, SlotMatch::kAny, model);
  ASSERT_EQ(rows.size(), 4u);
  const double all = 1 + kSecond;  // both requests are whole: rewards stay as they are
  const double weights[] = {1 / (all * 0.25), 0, kSecond / (all * 0.1), kSecond / (all * 0.5)};
  for (size_t row = 0; row < 4; ++row) EXPECT_NEAR(rows[row].weight, weights[row], 1e-12);
  EXPECT_NEAR(rows[0].direct, (10 + 2 * kSecond) / 2, 1e-12);
  EXPECT_NEAR(rows[2].direct, (2 + 2 * kSecond) / 2, 1e-12);
  EXPECT_NEAR(rows[2].predicted, 2, 1e-12);  // at the slot in which it was logged
  EXPECT_NEAR(rows[3].predicted, 2 * kSecond, 1e-12);
  EXPECT_NEAR(rows[2].reward, 40, 1e-12);
}

TEST(OffPolicyRows, AnySlotUsesDrawnSlotsAloneAndScalesToTheWholeSlate) {
  const std::vector<LoggedSlot> log{{0, 9, 1, 1.0, 5}, {0, 6, 2, 0.5, 4}, {0, 6, 3, 0.5, 4}};
  const auto rows = off_policy_rows(log, kSlates, SlotMatch::kAny, model);
  ASSERT_EQ(rows.size(), 1u);  // position 1 was not drawn, position 3 is none of the arm's
  EXPECT_NEAR(rows[0].weight, kSecond / ((1 + kSecond) * 0.5), 1e-12);
  EXPECT_NEAR(rows[0].reward, 4 * ((1 + kSecond) / 2) / kSecond, 1e-12);
  EXPECT_THROW(estimate_off_policy({}, 1, {}), DataError);
  const std::vector<LoggedSlot> wrong{{0, 9, 1, 0.0, 5}};
  EXPECT_THROW(off_policy_rows(wrong, kSlates, SlotMatch::kAny, model), ArgumentError);
}

TEST(OffPolicyEstimate, WarnsWhereTheLogNeverShowsWhatTheArmDoes) {
  Slates slates{2, {}};
  std::vector<LoggedSlot> log;  // what the other half of the users would see is never drawn
  for (int32_t user = 0; user < 400; ++user) {
    slates.items.insert(slates.items.end(), {5, 6});
    log.push_back({user, user % 4 == 0 ? 5 : 8, 1, 0.5, 1});
  }
  const auto rows = off_policy_rows(log, slates, SlotMatch::kSame, model);
  const OffPolicyEstimate got = estimate_off_policy(rows, 400, {.resamples = 200});
  EXPECT_NEAR(got.mean_weight.value, 0.5, 1e-12);
  EXPECT_NEAR(got.effective, 100, 1e-9);
  EXPECT_THAT(to_json(got)["warnings"].dump(), HasSubstr("weights average 0.50, not 1"));
  for (LoggedSlot& slot : log) slot.item = slot.user % 2 == 0 ? 5 : 8;
  EXPECT_TRUE(estimate_off_policy(off_policy_rows(log, slates, SlotMatch::kSame, model), 400,
                                  {.resamples = 200})
                  .warnings.empty());
}

/// A feed of 80 users and its policy on day 1; the arm shows the five that are
/// clicked most.
class OffPolicyWorld : public testing::Test {
 protected:
  static constexpr int32_t kSlots = 5, kRequests = 10, kDay = 1, kLogs = 250;

  static WorldOptions options() {
    WorldOptions options;
    options.users = 80;
    options.items = 40;
    options.days = 2;
    options.categories = 8;
    options.seed = 3;
    options.constants.read_noise = 1;
    return options;
  }

  OffPolicyWorld() : world_(build_world(options())), policy_(world_, kDay) {
    slates_.slots = kSlots;
    for (int32_t user = 0; user < 80; ++user) {
      std::vector<std::pair<double, int32_t>> ranked;
      for (int32_t item = 0; item < policy_.alive(); ++item)
        ranked.emplace_back(-world_.click_logit(user, item, kDay), item);
      std::sort(ranked.begin(), ranked.end());
      for (int32_t place = 0; place < kSlots; ++place) {
        const int32_t item = ranked[static_cast<size_t>(place)].second;
        slates_.items.push_back(item);
        truth_ += examination(place + 1) * reward(user, item) / (80.0 * kSlots);
      }
    }
  }

  /// Expected seconds of an examined slot.
  double reward(int32_t user, int32_t item) const {
    return sigmoid(world_.click_logit(user, item, kDay)) *
           expected_capped(world_.read_mean(user, item, kDay), world_.read_noise, 1800);
  }

  std::vector<LoggedSlot> log(uint64_t seed) const {
    std::vector<LoggedSlot> log;
    PolicyDay::Row row;
    for (int32_t user = 0; user < 80; ++user) {
      policy_.fill(user, row);
      const Rng rng = Rng(seed, "log").fork(static_cast<uint64_t>(user));
      for (int32_t slot = 0; slot < kSlots * kRequests; ++slot) {
        const auto at = static_cast<uint64_t>(4 * slot);
        const int32_t item = policy_.draw(row, rng.uniform(at), rng.uniform(at + 1));
        const int32_t position = slot % kSlots + 1;
        const double click = examination(position) * sigmoid(world_.click_logit(user, item, kDay));
        double seconds = 0;
        if (rng.uniform(at + 2) < click)
          seconds = std::min(1800.0, std::exp(world_.read_mean(user, item, kDay) +
                                              world_.read_noise * rng.normal(at + 3)));
        log.push_back({user, item, position, policy_.exposure(row, item), seconds});
      }
    }
    return log;
  }

  World world_;
  PolicyDay policy_;
  Slates slates_;
  double truth_ = 0;
};

struct Moments {
  double sum = 0, square = 0;
  int covered = 0, count = 0;
  void add(const Interval& estimate, double truth) {
    sum += estimate.value;
    square += estimate.value * estimate.value;
    covered += estimate.low <= truth && truth <= estimate.high ? 1 : 0;
    ++count;
  }
  double mean() const { return sum / count; }
  double deviation() const { return std::sqrt(square / count - mean() * mean()); }
  double error() const { return deviation() / std::sqrt(count); }
};

TEST_F(OffPolicyWorld, InverseAndDoublyRobustEstimatesAreUnbiasedWhateverTheModel) {
  const auto wrong = [](int32_t, int32_t) { return 3.0; };
  const auto right = [this](int32_t user, int32_t item) { return reward(user, item); };
  Moments same, any, robust, better, snips, naive, weight;
  for (uint64_t seed = 0; seed < kLogs; ++seed) {
    const auto logged = log(seed);
    const auto estimate = [&](SlotMatch match, const auto& model) {
      return estimate_off_policy(off_policy_rows(logged, slates_, match, model), 80,
                                 {.resamples = 100});
    };
    same.add(estimate(SlotMatch::kSame, wrong).ips, truth_);
    const OffPolicyEstimate of_any = estimate(SlotMatch::kAny, wrong);
    any.add(of_any.ips, truth_);
    snips.add(of_any.snips, truth_);
    weight.add(of_any.mean_weight, 1);
    robust.add(of_any.doubly_robust, truth_);
    better.add(estimate(SlotMatch::kAny, right).doubly_robust, truth_);
    double seconds = 0;
    for (const LoggedSlot& slot : logged) seconds += slot.reward;
    naive.add({seconds / static_cast<double>(logged.size()), 0, 0}, truth_);
  }
  for (const Moments* moments : {&same, &any, &robust, &better})
    EXPECT_NEAR(moments->mean(), truth_, 3.5 * moments->error());
  EXPECT_NEAR(weight.mean(), 1, 3.5 * weight.error());
  EXPECT_NEAR(snips.mean(), truth_, 0.1 * truth_);  // consistent, not unbiased
  EXPECT_GT(std::abs(naive.mean() - truth_), 20 * naive.error());
  EXPECT_LT(any.deviation(), 0.8 * same.deviation());
  EXPECT_LT(better.deviation(), any.deviation());
  for (const Moments* moments : {&any, &better})
    EXPECT_GT(moments->covered, 0.8 * kLogs) << moments->covered;
}

}  // namespace
}  // namespace retort
