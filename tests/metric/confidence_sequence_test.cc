// Oracles: the closed form by hand, the definition of the linearised difference over all users, and
// simulated tests that are looked at after every user.
#include "retort/metric/confidence_sequence.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/rng.h"

namespace retort {
namespace {

TEST(SequenceHalfWidth, IsTheClosedFormAtItsBestRho) {
  // x = ln((x + 1) / .0025) = 8.21197; sqrt(2 * 9.21197 / 8.21197 * ln(sqrt(9.21197) / .05))
  EXPECT_NEAR(sequence_half_width(1, 1), 3.03512, 1e-3);
  EXPECT_NEAR(sequence_half_width(400, 400), 3.03512 / 20, 1e-4);
  // x = 8.21197 / 4: sqrt(2 * 3.05299 / 2.05299 * ln(sqrt(3.05299) / .05)) = 3.25110
  EXPECT_NEAR(sequence_half_width(100, 400), 3.25110 / 10, 1e-4);
  EXPECT_THROW(sequence_half_width(0, 1), ArgumentError);
}

TEST(SequenceHalfWidth, NoOtherRhoIsNarrowerAtTheMomentItIsTunedFor) {
  for (const int64_t tuned : {250, 300, 350, 450, 500, 600})
    EXPECT_GT(sequence_half_width(400, tuned), sequence_half_width(400, 400)) << tuned;
}

TEST(PairedSequence, IsTheMeanOfTheLinearisedDifference) {
  const std::vector<PairedUser> users{
      {12, 10, 3, 10}, {0, 20, 5, 20}, {40, 30, 10, 20}, {7, 10, 7, 10}};
  PairedSequence sequence(4);
  for (const PairedUser& user : users) sequence.add(user);
  const double ratio = 59.0 / 70, base = 25.0 / 60;
  double square = 0;
  for (const PairedUser& user : users) {
    const double d = (user.numerator - ratio * user.denominator) / 17.5 -
                     (user.base_numerator - base * user.base_denominator) / 15.0;
    square += d * d;
  }
  const double half = std::sqrt(square / 4) * sequence_half_width(4, 4);
  const Interval got = sequence.interval();
  EXPECT_NEAR(got.value, ratio - base, 1e-12);
  EXPECT_NEAR(got.low, ratio - base - half, 1e-12);
  EXPECT_NEAR(got.high, ratio - base + half, 1e-12);
}

TEST(PairedSequence, IdenticalArmsDifferByExactlyNothing) {
  PairedSequence sequence(100);
  EXPECT_TRUE(std::isinf(sequence.interval().high));
  for (int user = 0; user < 100; ++user)
    sequence.add({user * 0.1, 10.0 + user, user * 0.1, 10.0 + user});
  EXPECT_EQ(sequence.interval().low, 0);
  EXPECT_EQ(sequence.interval().high, 0);
  sequence.add({1, 10, 0, 10});
  EXPECT_GT(sequence.interval().high, 0);
}

/// Seconds of a user who reads few things, some of them for long.
double heavy_tailed(const Rng& rng, uint64_t at) {
  return rng.uniform(2 * at) < 0.4 ? std::exp(3 + rng.normal(2 * at + 1)) : 0;
}

TEST(PairedSequence, HoldsTheTruthAtEveryLookWhereRepeatedFixedIntervalsDoNot) {
  constexpr int kTests = 400, kUsers = 2000;
  int missed = 0, missed_fixed = 0;
  for (int test = 0; test < kTests; ++test) {
    const Rng rng = Rng(21, "sequence").fork(static_cast<uint64_t>(test));
    PairedSequence sequence(kUsers);
    bool ever = false, ever_fixed = false;
    for (uint64_t user = 0; user < kUsers; ++user) {
      const double impressions = 10.0 * static_cast<double>(1 + rng.below(5, 9'000'000 + user));
      const double both = heavy_tailed(rng, 3 * user);  // paired: arms have much in common
      sequence.add({both + heavy_tailed(rng, 3 * user + 1), impressions,
                    both + heavy_tailed(rng, 3 * user + 2), impressions});
      if (sequence.users() < PairedSequence::kFirstLook) continue;
      const Interval now = sequence.interval();
      ever = ever || now.low > 0 || now.high < 0;
      const double fixed = (now.high - now.value) * 1.96 /
                           (sequence_half_width(sequence.users(), kUsers) *
                            std::sqrt(static_cast<double>(sequence.users())));
      ever_fixed = ever_fixed || std::abs(now.value) > fixed;
    }
    missed += ever ? 1 : 0;
    missed_fixed += ever_fixed ? 1 : 0;
  }
  // 5 % of 400 are 20; three deviations of the count are 13.
  EXPECT_LE(missed, 33);
  EXPECT_GT(missed_fixed, 80);
}

}  // namespace
}  // namespace retort
