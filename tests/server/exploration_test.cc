// Randomised slots: what is logged as a propensity is how often it happens, and supports estimates.
#include "retort/server/exploration.h"

#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace retort {
namespace {

std::vector<Candidate> ranked_candidates(int count) {
  std::vector<Candidate> all;
  for (int i = 0; i < count; ++i) all.push_back({fmt::format("i{}", i), float(count - i)});
  return all;
}

TEST(Exploration, DrawsAreThoseOfTheRequestsId) {
  const auto draw = [](const std::string& id) {
    std::vector<Candidate> all = ranked_candidates(30);
    explore(all, 10, {3, 20}, draws_of(id));
    std::string ids;
    for (const Candidate& candidate : all) ids += candidate.id + " ";
    return ids;
  };
  EXPECT_EQ(draw("a"), draw("a"));
  std::set<std::string> different;
  for (int i = 0; i < 20; ++i) different.insert(draw(fmt::format("request {}", i)));
  EXPECT_GT(different.size(), 18u);
}

TEST(Exploration, PositionsBeforeTheSlotsKeepTheirItemsAndPropensity1) {
  std::vector<Candidate> all = ranked_candidates(28);
  explore(all, 10, {2, 20}, draws_of("x"));
  ASSERT_EQ(all.size(), 10u);
  std::set<std::string> ids;
  for (int i = 0; i < 10; ++i) {
    ids.insert(all[size_t(i)].id);
    if (i < 8) {
      EXPECT_EQ(all[size_t(i)].id, fmt::format("i{}", i));
    }
    EXPECT_FLOAT_EQ(all[size_t(i)].propensity, i < 8 ? 1.0f : 0.05f);
  }
  EXPECT_EQ(ids.size(), 10u);
}

TEST(Exploration, WithFewerCandidatesThePoolIsWhatThereIs) {
  std::vector<Candidate> all = ranked_candidates(10);
  explore(all, 8, {2, 20}, draws_of("x"));
  ASSERT_EQ(all.size(), 8u);
  EXPECT_FLOAT_EQ(all[7].propensity, 0.25f);  // of i6 .. i9
  all = ranked_candidates(7);
  explore(all, 8, {2, 20}, draws_of("x"));
  ASSERT_EQ(all.size(), 7u);
  EXPECT_EQ(all[6].propensity, 1.0f);  // i6 alone
  all = ranked_candidates(3);
  explore(all, 8, {2, 20}, draws_of("x"));
  EXPECT_EQ(all.size(), 3u);
  all = ranked_candidates(5);
  explore(all, 3, {0, 0}, draws_of("x"));
  EXPECT_EQ(all.size(), 3u);
  EXPECT_EQ(depth_of(10, {2, 20}), 28);
  EXPECT_EQ(depth_of(10, {}), 10);
}

/// Chi-squared of the counts of n equally likely outcomes; its mean is n - 1, its variance 2 (n -
/// 1).
TEST(Exploration, HowOftenIsAsLikelyAsLogged) {
  constexpr int kRequests = 4000, kPool = 12, kSlots = 3, kFirst = 4;
  for (int seed = 0; seed < 5; ++seed) {
    std::map<std::pair<int, std::string>, int> shown;
    for (int request = 0; request < kRequests; ++request) {
      std::vector<Candidate> all = ranked_candidates(kFirst + kPool);
      explore(all, kFirst + kSlots, {kSlots, kPool}, draws_of(fmt::format("{}-{}", seed, request)));
      for (int slot = 0; slot < kSlots; ++slot) {
        const Candidate& drawn = all[size_t(kFirst + slot)];
        ASSERT_FLOAT_EQ(drawn.propensity, 1.0f / kPool);
        ++shown[{slot, drawn.id}];
      }
    }
    for (int slot = 0; slot < kSlots; ++slot) {
      const double expected = double(kRequests) / kPool;
      double squared = 0;
      for (int i = kFirst; i < kFirst + kPool; ++i) {
        const double off = shown[{slot, fmt::format("i{}", i)}] - expected;
        squared += off * off / expected;
      }
      // 11 degrees of freedom: above 31.3 once in a thousand, 15 looks in all.
      EXPECT_LT(squared, 37.4) << "seed " << seed << " slot " << slot;  // once in ten thousand
    }
  }
}

/// Clicks by a known law over what was drawn; a policy that would always show one item of the pool
/// is estimated by inverse propensity from the log, and its truth is known.
TEST(Exploration, InversePropensityFindsTheWorthOfAnotherPolicy) {
  constexpr int kRequests = 20'000, kPool = 10, kFirst = 4, kSlots = 2;
  const auto law = [](const std::string& id, int position) {
    const int item = std::stoi(id.substr(1));
    return (0.1 + 0.04 * (item % 7)) / (1 + 0.1 * position);
  };
  for (int seed = 0; seed < 3; ++seed) {
    const Rng clicks(static_cast<uint64_t>(seed), "clicks");
    std::map<std::string, std::pair<double, double>> sums;  // of weights times clicks, and squares
    for (int request = 0; request < kRequests; ++request) {
      std::vector<Candidate> all = ranked_candidates(kFirst + kPool);
      explore(all, kFirst + kSlots, {kSlots, kPool}, draws_of(fmt::format("{}/{}", seed, request)));
      const Candidate& shown = all[kFirst];  // the first randomised slot
      const bool clicked =
          clicks.uniform(static_cast<uint64_t>(request)) < law(shown.id, kFirst + 1);
      const double value = clicked ? 1 / shown.propensity : 0;
      sums[shown.id].first += value;
      sums[shown.id].second += value * value;
    }
    for (int item = kFirst; item < kFirst + kPool; ++item) {
      const auto [sum, squares] = sums[fmt::format("i{}", item)];
      const double mean = sum / kRequests;
      const double error = std::sqrt((squares / kRequests - mean * mean) / kRequests);
      EXPECT_NEAR(mean, law(fmt::format("i{}", item), kFirst + 1), 3.7 * error)
          << "seed " << seed << " item " << item;  // 30 looks, each wrong twice in ten thousand
      EXPECT_LT(error, 0.02) << "the interval says something";
    }
  }
}

}  // namespace
}  // namespace retort
