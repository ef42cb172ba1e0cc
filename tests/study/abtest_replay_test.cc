// Oracles: the simulator's own log (scores of the live ranker, clicks), SQL and brute force over
// it, and Monte Carlo.
#include "retort/study/abtest_replay.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "tests/study/abtest_platform.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/metric/nktd.h"

namespace retort {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(AbTestLog, TheRankerGivesTheScoresThatWereLoggedOnTheDay) {
  const Platform& platform = Platform::get();
  const LoggedPast past = platform.past();
  DuckDb db;
  int64_t rows = 0;
  db.query(
      fmt::format("SELECT user_id, item_id, score_click, score_dwm FROM {} WHERE snapshot = {}",
                  platform.table("impressions"), kTestDay),
      [&](const ResultChunk& chunk) {
        for (int64_t row = 0; row < chunk.rows(); ++row, ++rows) {
          const auto scores = past.ranker.score(*platform.oracle().find_user(chunk.text(0, row)),
                                                *platform.oracle().find_item(chunk.text(1, row)));
          ASSERT_NEAR(scores.click, chunk.number(2, row), 1e-4);
          ASSERT_NEAR(scores.dwm, chunk.number(3, row), 1e-4);
        }
      });
  EXPECT_GT(rows, 1000);
}

TEST(AbTestLog, WhatWasPlayedClickedAndWatchedOnEqualsSqlOverTheLog) {
  const Platform& platform = Platform::get();
  const LongVideoOracle& oracle = platform.oracle();
  const LoggedPast past = platform.past();
  DuckDb db;
  std::set<std::pair<int32_t, int32_t>> played;
  db.query(fmt::format("SELECT DISTINCT user_id, item_id FROM {} WHERE time < make_timestamp({})",
                       platform.table("playbacks"), past.midnight),
           [&](const ResultChunk& chunk) {
             for (int64_t row = 0; row < chunk.rows(); ++row)
               played.emplace(*oracle.find_user(chunk.text(0, row)),
                              *oracle.find_item(chunk.text(1, row)));
           });
  std::set<std::pair<int32_t, int32_t>> got;
  for (size_t user = 0; user < past.played.size(); ++user)
    for (const int32_t item : past.played[user]) got.emplace(static_cast<int32_t>(user), item);
  EXPECT_EQ(got, played);
  EXPECT_GT(got.size(), 200u);

  std::vector<int32_t> clicks(past.clicks.size());
  db.query(
      fmt::format("SELECT item_id, count(*) FROM {} WHERE clicked AND snapshot = {} GROUP BY 1",
                  platform.table("impressions"), kTestDay - 1),
      [&](const ResultChunk& chunk) {
        for (int64_t row = 0; row < chunk.rows(); ++row)
          clicks[static_cast<size_t>(*oracle.find_item(chunk.text(0, row)))] =
              static_cast<int32_t>(chunk.integer(1, row));
      });
  EXPECT_EQ(past.clicks, clicks);

  // Shows of before, in the seven days from the user's first impression of the day on.
  std::vector<double> minutes(past.other_minutes.size());
  db.query(
      fmt::format(
          "WITH opened AS (SELECT user_id, min(time) t0 FROM {0} WHERE snapshot = {2} GROUP BY 1), "
          "before AS (SELECT DISTINCT user_id, item_id FROM {1} WHERE time < make_timestamp({3})) "
          "SELECT user_id, sum(least(minutes, date_diff('microsecond', p.time, t0 + INTERVAL 7 "
          "DAY) "
          "/ 60e6)) FROM {1} p JOIN opened USING (user_id) JOIN before USING (user_id, item_id) "
          "WHERE p.time >= t0 AND p.time < t0 + INTERVAL 7 DAY GROUP BY 1",
          platform.table("impressions"), platform.table("playbacks"), kTestDay, past.midnight),
      [&](const ResultChunk& chunk) {
        for (int64_t row = 0; row < chunk.rows(); ++row)
          minutes[static_cast<size_t>(*oracle.find_user(chunk.text(0, row)))] =
              chunk.number(1, row);
      });
  double sum = 0;
  for (size_t user = 0; user < minutes.size(); ++user) {
    EXPECT_NEAR(past.other_minutes[user], minutes[user], 1e-3) << user;
    sum += minutes[user];
  }
  EXPECT_GT(sum, 1000);
}

TEST(AbTestLog, DaysOutsideTheLogAndMissingFilesAreNamed) {
  const Platform& platform = Platform::get();
  for (const int32_t day : {0, kDays + 1})
    EXPECT_THAT([&] { read_logged_past(platform.world(), platform.oracle(), day, kTrailing); },
                ThrowsMessage<ConfigError>(HasSubstr(fmt::format("expected 1 to {}", kDays))));
  EXPECT_THAT([&] { read_logged_past("/nowhere", platform.oracle(), 2, kTrailing); },
              ThrowsMessage<DataError>(HasSubstr("/nowhere/items.parquet")));
}

/// The channel's answer by its definition, over all shows of the row.
std::vector<int32_t> by_definition(const LoggedPast& past, const LongVideoWorld& world,
                                   ShowType type, Channel channel, int32_t user, size_t quota,
                                   size_t last_played) {
  std::map<int32_t, std::set<int32_t>> players;
  for (size_t u = 0; u < past.played.size(); ++u)
    for (const int32_t item : past.played[u]) players[item].insert(static_cast<int32_t>(u));
  std::vector<std::pair<double, int32_t>> scored;
  const int32_t first = world.first_of(type);
  for (int32_t item = first; item < first + world.alive(type, past.day); ++item) {
    const auto& own = past.played[static_cast<size_t>(user)];
    if (std::count(own.begin(), own.end(), item) > 0) continue;
    double score = 0;
    if (channel == Channel::kPopular) score = past.clicks[static_cast<size_t>(item)];
    if (channel == Channel::kNew)
      score = static_cast<double>(past.released[static_cast<size_t>(item)]);
    if (channel == Channel::kCoPlay) {
      for (size_t k = own.size() - std::min(own.size(), last_played); k < own.size(); ++k) {
        int32_t both = 0;
        for (const int32_t player : players[own[k]])
          both += static_cast<int32_t>(players[item].count(player));
        if (both > 0)
          score += static_cast<float>(both / std::sqrt(static_cast<double>(players[own[k]].size()) *
                                                       static_cast<double>(players[item].size())));
      }
    }
    if (score > 0 || channel == Channel::kNew) scored.emplace_back(-score, item);
  }
  std::sort(scored.begin(), scored.end());
  std::vector<int32_t> items;
  for (size_t k = 0; k < std::min(quota, scored.size()); ++k) items.push_back(scored[k].second);
  return items;
}

TEST(AbTestChannels, EqualTheirDefinitionsAndNeverOfferWhatWasPlayed) {
  const Platform& platform = Platform::get();
  const LoggedPast past = platform.past();
  const LongVideoWorld& world = platform.oracle().world();
  ChannelOptions options;
  options.quota = {1, 9, 12, 5};
  options.last_played = 3;
  for (const ShowType type : kShowTypes) {
    const SharedChannels channels(past, world, type, options);
    size_t full = 0;
    for (int32_t user = 0; user < 300; user += 7) {
      for (const Channel channel : {Channel::kPopular, Channel::kCoPlay, Channel::kNew}) {
        const auto quota = static_cast<size_t>(options.quota[static_cast<size_t>(channel)]);
        const auto got = channels.candidates(channel, user);
        ASSERT_EQ(got, by_definition(past, world, type, channel, user, quota, 3)) << user;
        full += got.size() == quota ? 1 : 0;
      }
    }
    EXPECT_GT(full, 60u);
    EXPECT_THROW(channels.candidates(Channel::kPersonalised, 0), ArgumentError);
  }
}

TEST(AbTestMerge, EachShowOnceCreditedToEveryChannelThatOfferedIt) {
  const auto merged = merge_channels({std::vector<int32_t>{7, 3}, {3, 9}, {}, {9, 3}});
  ASSERT_EQ(merged.size(), 3u);
  EXPECT_EQ(merged[0].item, 3);
  EXPECT_EQ(merged[0].channels, 0b1011);
  EXPECT_EQ(merged[1].item, 7);
  EXPECT_EQ(merged[1].channels, 0b0001);
  EXPECT_EQ(merged[2].item, 9);
  EXPECT_EQ(merged[2].channels, 0b1010);
}

TEST(ExpectedFirstMinutes, IsTheMeanOfTheLawOfWatching) {
  const LongVideoConstants c;
  for (const Show& show : {Show{false, 45, 20}, Show{false, 30, 3}, Show{true, 105, 1}}) {
    for (const double satisfaction : {0.2, 0.5, 0.8}) {
      double sum = 0;
      constexpr int kDraws = 40'000;
      for (int k = 0; k < kDraws; ++k) {
        Watching watching;
        const Draws draws(Rng(3, "first").fork(static_cast<uint64_t>(k)));
        sum += first_playback(c, show, satisfaction, draws, watching);
      }
      const double expected = expected_first_minutes(c, show, satisfaction);
      EXPECT_NEAR(sum / kDraws / expected, 1, 0.015) << show.unit << " " << satisfaction;
    }
  }
}

class AbTestReplay : public testing::Test {
 protected:
  AbTestReplay() : recipe_(read_abtest_recipe(two_arms("random", "taste"))) {}
  const Platform& platform_ = Platform::get();
  const LongVideoOracle& oracle_ = platform_.oracle();
  const LongVideoWorld& world_ = oracle_.world();
  const LoggedPast past_ = platform_.past();
  AbTestRecipe recipe_;
};

TEST_F(AbTestReplay, ThePersonalisedChannelIsTheBundlesOrderOfWhatMayBeShown) {
  for (const ShowType type : kShowTypes) {
    const auto arm =
        make_arm_channel(*recipe_.arms[1].rows[static_cast<size_t>(type)], oracle_, type);
    const int32_t first = world_.first_of(type), end = first + world_.alive(type, kTestDay);
    ASSERT_LE(end, first + world_.count_of(type));
    for (int32_t user = 0; user < 300; user += 11) {
      std::vector<std::pair<double, int32_t>> ranked;
      for (int32_t item = first; item < end; ++item) {
        double score = 0;
        for (int d = 0; d < 16; ++d)
          score += static_cast<double>(world_.click_taste[static_cast<size_t>(user * 16 + d)]) *
                   world_.phi[static_cast<size_t>(item * 16 + d)];
        if (!past_.has_played(user, item)) ranked.emplace_back(-score, item);
      }
      std::sort(ranked.begin(), ranked.end());
      const auto got = arm->retrieve(user, 25, past_);
      ASSERT_EQ(got.size(), 25u);
      for (size_t k = 0; k < got.size(); ++k) EXPECT_EQ(got[k].item, ranked[k].second);
    }
  }
}

TEST_F(AbTestReplay, AnOracleRanksByTheTruth) {
  for (const char* by : {"click", "minutes"}) {
    const auto arm = make_arm_channel({.oracle = by}, oracle_, ShowType::kMovie);
    const int32_t first = world_.first_of(ShowType::kMovie);
    for (const int32_t user : {3, 77}) {
      const auto got = arm->retrieve(user, 20, past_);
      ASSERT_EQ(got.size(), 20u);
      const auto value = [&](int32_t item) {
        return by == std::string("click")
                   ? oracle_.p_click(user, item)
                   : oracle_.p_click(user, item) * oracle_.quick_expected_dwm(user, item);
      };
      std::set<int32_t> found;
      for (const auto& item : got) found.insert(item.item);
      EXPECT_EQ(found.size(), 20u);
      for (int32_t item = first; item < first + world_.alive(ShowType::kMovie, kTestDay); ++item) {
        if (found.contains(item)) {
          EXPECT_FALSE(past_.has_played(user, item));
        } else if (!past_.has_played(user, item)) {
          EXPECT_LE(value(item), value(got.back().item) * (1 + 1e-6));
        }
      }
    }
  }
}

TEST_F(AbTestReplay, UnbornShowsAreNotOffered) {
  LoggedPast early = read_logged_past(platform_.world(), oracle_, 2, kTrailing);
  ASSERT_LT(world_.alive(ShowType::kTv, 2), world_.alive(ShowType::kTv, kTestDay));
  const auto arm = make_arm_channel(*recipe_.arms[0].rows[0], oracle_, ShowType::kTv);
  const auto all = arm->retrieve(0, 1000, early);
  EXPECT_LE(static_cast<int32_t>(all.size()), world_.alive(ShowType::kTv, 2));
  EXPECT_GT(all.size(), 80u);
  for (const auto& found : all) EXPECT_TRUE(oracle_.alive(found.item, 2));
}

TEST_F(AbTestReplay, ARowIsTheRankersBestEightWithTheWorldsLuck) {
  const SharedChannels shared(past_, world_, ShowType::kTv, recipe_.channels);
  const RowReplay row{oracle_, past_, shared, recipe_};
  const auto arm = make_arm_channel(*recipe_.arms[1].rows[0], oracle_, ShowType::kTv);
  double clicks = 0;
  for (int32_t user = 0; user < 300; user += 2) {
    const auto retrieved = arm->retrieve(user, 30, past_);
    std::array<std::set<int32_t>, kChannels> offered;
    for (size_t k = 0; k < 15; ++k) offered[0].insert(retrieved[k].item);
    for (size_t channel = 1; channel < kChannels; ++channel)
      for (const int32_t item : shared.candidates(static_cast<Channel>(channel), user))
        offered[channel].insert(item);
    std::set<std::pair<double, int32_t>> ranked;
    for (const auto& channel : offered)
      for (const int32_t item : channel)
        ranked.emplace(-past_.ranker.score(user, item).mixed(), item);
    RowOutcome expected;
    int position = 0;
    for (const auto& [score, item] : ranked) {
      if (++position > 8) break;
      const double p = oracle_.p_click(user, item) / std::log2(position + 1.0);
      expected.expected_clicks += p;
      expected.expected_dwm += oracle_.value(user, item) / std::log2(position + 1.0);
      expected.shown += 1;
      for (size_t channel = 0; channel < kChannels; ++channel)
        expected.offered[channel] += offered[channel].contains(item) ? 1 : 0;
      if (world_.click_draw(user, item, kTestDay) >= p) continue;
      expected.clicks += 1;
      expected.local += oracle_.outcome(user, item, kTestDay).first;
      expected.dwm += oracle_.outcome(user, item, kTestDay).week;
    }
    std::vector<float> own, live;
    for (const auto& found : retrieved) {
      own.push_back(found.score);
      live.push_back(static_cast<float>(past_.ranker.score(user, found.item).mixed()));
    }
    const RowOutcome got = row.run(user, *arm);
    EXPECT_EQ(got.shown, expected.shown);
    EXPECT_EQ(got.clicks, expected.clicks);
    EXPECT_EQ(got.offered, expected.offered);
    EXPECT_NEAR(got.local, expected.local, 1e-9);
    EXPECT_NEAR(got.dwm, expected.dwm, 1e-9);
    EXPECT_NEAR(got.expected_clicks, expected.expected_clicks, 1e-12);
    EXPECT_NEAR(got.expected_dwm, expected.expected_dwm, 1e-9);
    EXPECT_EQ(got.nktd, nktd(own, live));
    clicks += got.clicks;
  }
  EXPECT_GT(clicks, 10);
}

TEST_F(AbTestReplay, TheLuckIsThatOfTheLog) {
  DuckDb db;
  int64_t clicked = 0;
  db.query(fmt::format("SELECT user_id, item_id, position, clicked FROM {} WHERE snapshot = {}",
                       platform_.table("impressions"), kTestDay),
           [&](const ResultChunk& chunk) {
             for (int64_t row = 0; row < chunk.rows(); ++row) {
               const int32_t user = *oracle_.find_user(chunk.text(0, row));
               const int32_t item = *oracle_.find_item(chunk.text(1, row));
               const double p = oracle_.p_click(user, item) /
                                std::log2(static_cast<double>(chunk.integer(2, row)) + 1);
               ASSERT_EQ(world_.click_draw(user, item, kTestDay) < p, chunk.boolean(3, row));
               clicked += chunk.boolean(3, row) ? 1 : 0;
             }
           });
  EXPECT_GT(clicked, 20);
}

}  // namespace
}  // namespace retort
