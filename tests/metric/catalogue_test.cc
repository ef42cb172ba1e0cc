#include "retort/metric/catalogue.h"

#include <cmath>
#include <set>

#include "tests/support/scratch_folder.h"
#include "tests/support/tiny_dataset.h"
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

constexpr int64_t kHour = 3'600'000'000;

/// Small whole numbers made of all features, so that every sum is exact and ties are common.
class WholeTowers : public Towers {
 public:
  int32_t dim() const override { return 3; }
  void encode_users(const SideBatch& users, std::span<float> out) const override {
    largest_user_batch = std::max(largest_user_batch, users.rows);
    encode(users, out);
  }
  void encode_items(const SideBatch& items, std::span<float> out) const override {
    items_encoded += items.rows;
    encode(items, out);
  }
  mutable int64_t items_encoded = 0, largest_user_batch = 0;

 private:
  void encode(const SideBatch& side, std::span<float> out) const {
    const int64_t width = side.rows > 0 ? static_cast<int64_t>(side.dense.size()) / side.rows : 0;
    for (int64_t row = 0; row < side.rows; ++row) {
      int64_t sum = 0;
      for (size_t column = 0; column < side.sparse.size(); ++column) {
        const SparseColumn& sparse = side.sparse[column];
        for (int32_t at = sparse.offsets[row]; at < sparse.offsets[row + 1]; ++at) {
          sum += sparse.ids[at] * static_cast<int64_t>(3 + column);
        }
      }
      for (int64_t d = 0; d < width; ++d) {
        sum += static_cast<int64_t>(std::floor(side.dense[row * width + d]));
      }
      for (int d = 0; d < 3; ++d) {
        out[row * 3 + d] = static_cast<float>((sum * (d + 1) + d) % 5 - 2);
      }
    }
  }
};

class Catalogue : public testing::Test {
 protected:
  Catalogue() : tiny_(random_tiny_dataset(5, 12, 20, 400)) {}

  const Dataset& open() {
    tiny_.write(folder_ / "tiny");
    dataset_ = std::make_unique<Dataset>(folder_ / "tiny");
    return *dataset_;
  }
  /// The same feed with item features that do not depend on the moment.
  const Dataset& open_still() {
    std::erase_if(tiny_.schema.features, [](const FeatureSpec& spec) {
      return spec.side == Side::kItem &&
             (spec.source == FeatureSource::kAsOf || spec.source == FeatureSource::kTime);
    });
    return open();
  }

  std::vector<float> user_vector(int64_t click) const {
    const Clicks& clicks = dataset_->clicks();
    const UserMoment row{clicks.user[click], clicks.time[click], click};
    SideBatch batch;
    Assembler(*dataset_).users(std::span(&row, 1), batch);
    std::vector<float> out(3);
    towers_.encode_users(batch, out);
    return out;
  }
  std::vector<float> item_vector(int32_t item, int64_t moment) const {
    const ItemMoment row{item, moment};
    SideBatch batch;
    Assembler(*dataset_).items(std::span(&row, 1), batch);
    std::vector<float> out(3);
    towers_.encode_items(batch, out);
    return out;
  }
  std::map<int32_t, int64_t> counts_within(int64_t from, int64_t to) const {
    std::map<int32_t, int64_t> counts;
    for (int64_t click = 0; click < dataset_->clicks().size(); ++click) {
      const int64_t time = dataset_->clicks().time[click];
      if (time >= from && time < to) ++counts[dataset_->clicks().item[click]];
    }
    return counts;
  }
  /// Items that something makes alive within [from, to).
  std::set<int32_t> alive_within(int64_t from, int64_t to) const {
    std::set<int32_t> items;
    if (tiny_.protocol.alive_by == "impressions") {
      for (const TinyShown& shown : tiny_.shown)
        if (shown.time >= from && shown.time < to) items.insert(shown.item);
      return items;
    }
    for (const auto& [item, count] : counts_within(from, to)) items.insert(item);
    return items;
  }
  /// The click at whose moment `click` is judged.
  int64_t judged_at(int64_t click, const CatalogueOptions& options) const {
    const Clicks& clicks = dataset_->clicks();
    if (tiny_.protocol.lists == "event") return click;
    for (const int64_t other : dataset_->rows_of(options.split))
      if (clicks.user[other] == clicks.user[click] &&
          (!options.reads_only || clicks.read[other] != 0))
        return other;
    return -1;
  }
  std::set<int32_t> candidates_of(int64_t click, const CatalogueOptions& options) const {
    const Clicks& clicks = dataset_->clicks();
    std::set<int32_t> items;
    if (options.alive_window > 0) {
      const int64_t time = clicks.time[click];
      items = alive_within(time - options.alive_window, time);
    } else {
      for (int32_t item = 0; item < dataset_->items(); ++item) items.insert(item);
    }
    for (int64_t other = 0; options.exclude_seen && other < clicks.size(); ++other) {
      const bool past =
          dataset_->has_time() ? clicks.time[other] < clicks.time[click] : clicks.split[other] == 0;
      if (clicks.user[other] == clicks.user[click] && past) items.erase(clicks.item[other]);
    }
    if (options.exclude_seen)
      for (const std::string& name : tiny_.protocol.exclude_streams)
        for (const TinyClick& event : tiny_.streams.at(name))
          if (event.user == clicks.user[click] && event.time < clicks.time[click] &&
              event.item != clicks.item[click])
            items.erase(event.item);
    std::erase_if(items, [&](int32_t item) { return !may_be_candidate(item); });
    return items;
  }
  bool may_be_candidate(int32_t item) const {
    return tiny_.candidates.empty() || tiny_.candidates[static_cast<size_t>(item)] != 0;
  }

  struct Judged {
    int32_t rank, candidates;
  };
  /// Straight from the definition; `group` = candidates of all events of the grid moment, over
  /// which the shares are smoothed.
  Judged brute_force(int64_t event, const CatalogueOptions& options,
                     const std::set<int32_t>& group) const {
    const Clicks& clicks = dataset_->clicks();
    const int64_t click = judged_at(event, options);
    const int64_t time = clicks.time[click];
    const int64_t moment = options.refresh > 0 ? time / options.refresh * options.refresh : time;
    std::map<int32_t, int64_t> counts;
    for (const int32_t item : group) counts[item] = 0;
    if (options.alive_window > 0) {
      for (const auto& [item, count] : counts_within(moment - options.alive_window, moment)) {
        if (counts.contains(item)) counts[item] = count;
      }
    } else {
      for (auto& [item, count] : counts) count = dataset_->train_clicks()[item];
    }
    double total = static_cast<double>(counts.size());
    for (const auto& [item, count] : counts) total += static_cast<double>(count);
    const std::vector<float> user = user_vector(click);
    const auto score = [&](int32_t item) {
      const std::vector<float> vector = item_vector(item, moment);
      const float dot = user[0] * vector[0] + user[1] * vector[1] + user[2] * vector[2];
      if (options.beta == 0) return dot;
      const float log_q =
          static_cast<float>(std::log((static_cast<double>(counts.at(item)) + 1) / total));
      return dot + static_cast<float>(options.beta) * log_q;
    };
    const std::set<int32_t> items = candidates_of(click, options);
    const int32_t own = clicks.item[event];
    if (!items.contains(own)) return {0, static_cast<int32_t>(items.size())};
    int32_t above = 0, equal = 0;
    for (const int32_t item : items) {
      if (item == own) continue;
      above += score(item) > score(own);
      equal += score(item) == score(own);
    }
    const int32_t before = options.ties == Ties::kBest    ? 0
                           : options.ties == Ties::kWorst ? equal
                                                          : equal / 2;
    return {1 + above + before, static_cast<int32_t>(items.size())};
  }

  void expect_brute_force(const CatalogueOptions& options) {
    const CatalogueRanks ranks = rank_catalogue(*dataset_, towers_, options);
    std::vector<int64_t> expected_clicks;
    for (const int64_t click : dataset_->rows_of(options.split)) {
      if (!options.reads_only || dataset_->clicks().read[click]) expected_clicks.push_back(click);
    }
    ASSERT_EQ(ranks.click, expected_clicks);
    ASSERT_GT(ranks.click.size(), 10u);
    int ties = 0, misses = 0;
    for (size_t at = 0; at < ranks.click.size(); ++at) {
      const std::set<int32_t> group = group_of(ranks.click[at], options);
      const Judged judged = brute_force(ranks.click[at], options, group);
      EXPECT_EQ(ranks.rank[at], judged.rank) << "event " << at;
      EXPECT_EQ(ranks.candidates[at], judged.candidates) << "event " << at;
      misses += judged.rank == 0;
      CatalogueOptions worst = options, best = options;
      worst.ties = Ties::kWorst;
      best.ties = Ties::kBest;
      ties += brute_force(ranks.click[at], worst, group).rank !=
              brute_force(ranks.click[at], best, group).rank;
    }
    if (options.beta == 0 && options.alive_window == 0) {
      EXPECT_GT(ties, 0);
    }
    if (options.alive_window > 0 || options.exclude_seen) {
      EXPECT_GT(misses, 0);
    }
  }

  /// Items clicked in [first - window, last) of the judged events that share the grid moment.
  std::set<int32_t> group_of(int64_t click, const CatalogueOptions& options) const {
    const auto moment = [&](int64_t of) {
      const int64_t time = dataset_->clicks().time[judged_at(of, options)];
      return options.refresh > 0 ? time / options.refresh : time;
    };
    std::set<int32_t> items;
    if (options.alive_window <= 0) {
      for (int32_t item = 0; item < dataset_->items(); ++item)
        if (may_be_candidate(item)) items.insert(item);
      return items;
    }
    int64_t first = INT64_MAX, last = INT64_MIN;
    for (const int64_t other : dataset_->rows_of(options.split)) {
      if (options.reads_only && !dataset_->clicks().read[other]) continue;
      if (moment(other) != moment(click)) continue;
      const int64_t time = dataset_->clicks().time[judged_at(other, options)];
      first = std::min(first, time);
      last = std::max(last, time);
    }
    items = alive_within(first - options.alive_window, last);
    std::erase_if(items, [&](int32_t item) { return !may_be_candidate(item); });
    return items;
  }

  ScratchFolder folder_;
  TinyDataset tiny_;
  std::unique_ptr<Dataset> dataset_;
  WholeTowers towers_;
};

TEST_F(Catalogue, AllItemsEqualBruteForce) {
  open();
  expect_brute_force({});
  expect_brute_force({.refresh = 0});
  expect_brute_force({.refresh = 3 * kHour, .reads_only = false});
}

TEST_F(Catalogue, TiesGoToMiddleBestOrWorst) {
  open();
  expect_brute_force({.ties = Ties::kBest});
  expect_brute_force({.ties = Ties::kWorst});
}

TEST_F(Catalogue, AliveWindowsEqualBruteForce) {
  open();
  expect_brute_force({.alive_window = 2 * kHour});
  expect_brute_force({.alive_window = 4 * kHour, .refresh = 3 * kHour});
  expect_brute_force({.alive_window = 2 * kHour, .refresh = 24 * kHour, .reads_only = false});
}

TEST_F(Catalogue, SeenItemsAreNoCandidates) {
  open();
  expect_brute_force({.exclude_seen = true});
  expect_brute_force({.alive_window = 5 * kHour, .refresh = kHour, .exclude_seen = true});
}

TEST_F(Catalogue, ItemsWithEventsOfAStreamAreNoCandidatesButTheEventsOwn) {
  const TinyDataset other = random_tiny_dataset(8, tiny_.users, tiny_.items);
  tiny_.streams["watched"] = other.clicks;
  tiny_.protocol.exclude_streams = {"watched"};
  open();
  expect_brute_force({.exclude_seen = true});
  expect_brute_force({.alive_window = 5 * kHour, .refresh = kHour, .exclude_seen = true});
  expect_brute_force({});
}

TEST_F(Catalogue, OnlyCandidatesOfTheProtocolAreRanked) {
  for (int32_t item = 0; item < tiny_.items; ++item)
    tiny_.candidates.push_back(item % 3 == 0 ? 0 : 1);
  open();
  expect_brute_force({});
  expect_brute_force({.exclude_seen = true, .reads_only = false, .beta = 0.5});
  expect_brute_force({.alive_window = 5 * kHour, .refresh = kHour, .beta = 1});
}

TEST_F(Catalogue, OneListAUserStandsAtHisFirstJudgedEvent) {
  tiny_.protocol.lists = "user";
  open();
  expect_brute_force({});
  expect_brute_force({.refresh = kHour, .exclude_seen = true, .reads_only = false});
  expect_brute_force({.alive_window = 8 * kHour, .refresh = 3 * kHour, .beta = 1});
}

TEST_F(Catalogue, WhatWasShownMayMakeAlive) {
  for (const TinyClick& click : random_tiny_dataset(9, tiny_.users, tiny_.items, 300).clicks)
    tiny_.shown.push_back({.user = click.user,
                           .item = click.item,
                           .time = click.time,
                           .request = static_cast<int64_t>(tiny_.shown.size()),
                           .split = click.split});
  tiny_.protocol.alive_by = "impressions";
  open();
  expect_brute_force({.alive_window = 2 * kHour});
  expect_brute_force({.alive_window = 5 * kHour, .refresh = 3 * kHour, .beta = 0.5});
  tiny_.shown.clear();
  tiny_.write(folder_ / "unseen");
  const Dataset unseen(folder_ / "unseen");
  EXPECT_THROW(rank_catalogue(unseen, towers_, {.alive_window = kHour}), DataError);
  EXPECT_NO_THROW(rank_catalogue(unseen, towers_, {}));
}

TEST_F(Catalogue, BetaAddsTheLogShare) {
  open();
  expect_brute_force({.beta = 0.75});
  expect_brute_force({.alive_window = 4 * kHour, .refresh = 3 * kHour, .beta = 1.5});
}

TEST_F(Catalogue, StillItemsAreEncodedOnce) {
  open_still();
  EXPECT_FALSE(has_moving_items(dataset_->schema()));
  WholeTowers counting;
  rank_catalogue(*dataset_, counting, {.alive_window = 24 * kHour, .refresh = kHour});
  EXPECT_LE(counting.items_encoded, dataset_->items());
  expect_brute_force({});
  expect_brute_force({.alive_window = 4 * kHour, .refresh = kHour, .exclude_seen = true});
  expect_brute_force({.alive_window = 4 * kHour, .refresh = kHour, .beta = 1});
}

TEST_F(Catalogue, UsersOfManyGridMomentsAreEncodedTogether) {
  open();
  WholeTowers counting;
  const auto ranks = rank_catalogue(*dataset_, counting, {.refresh = kHour});
  EXPECT_EQ(counting.largest_user_batch, static_cast<int64_t>(ranks.click.size()));
}

TEST_F(Catalogue, WithoutTimeSeenMeansTrained) {
  tiny_.has_time = false;
  open_still();
  expect_brute_force({.exclude_seen = true});
  EXPECT_THROW(rank_catalogue(*dataset_, towers_, {.alive_window = kHour}), ConfigError);
}

TEST_F(Catalogue, SeveralBetasEqualOneByOne) {
  open();
  const std::vector<double> betas{0, 0.5, 2};
  CatalogueOptions options{.alive_window = 5 * kHour, .top = 3};
  const auto together = rank_catalogue(*dataset_, towers_, options, betas);
  ASSERT_EQ(together.size(), 3u);
  for (size_t at = 0; at < betas.size(); ++at) {
    options.beta = betas[at];
    const CatalogueRanks alone = rank_catalogue(*dataset_, towers_, options);
    EXPECT_EQ(together[at].rank, alone.rank);
    EXPECT_EQ(together[at].distinct_recommended, alone.distinct_recommended);
  }
  EXPECT_NE(together[0].rank, together[2].rank);
}

TEST_F(Catalogue, LimitSpreadsEventsEvenly) {
  open();
  const auto all = rank_catalogue(*dataset_, towers_, {});
  const auto some = rank_catalogue(*dataset_, towers_, {.limit = 5});
  const size_t size = all.click.size();
  std::vector<int64_t> expected;
  for (size_t at = 0; at < 5; ++at) expected.push_back(all.click[at * size / 5]);
  EXPECT_EQ(some.click, expected);
}

TEST_F(Catalogue, AnyScoreRanksAndCovers) {
  open();
  // The item itself is the score: item 19 (never clicked) stands first, 18 second, ..
  const CandidateScorer by_index = [](int64_t, std::span<const int32_t> candidates,
                                      std::span<float> out) {
    for (size_t at = 0; at < candidates.size(); ++at) {
      out[at] = static_cast<float>(candidates[at]);
    }
  };
  const auto ranks = rank_catalogue(*dataset_, by_index, {.top = 3});
  for (size_t at = 0; at < ranks.click.size(); ++at) {
    EXPECT_EQ(ranks.rank[at], 20 - dataset_->clicks().item[ranks.click[at]]);
  }
  EXPECT_EQ(ranks.distinct_recommended, 3);
  EXPECT_EQ(ranks.catalogue, 20);
  const auto alive = rank_catalogue(*dataset_, by_index, {.alive_window = 2 * kHour, .top = 100});
  std::set<int32_t> ever;
  for (const int64_t click : alive.click) {
    const auto items = candidates_of(click, {.alive_window = 2 * kHour});
    ever.insert(items.begin(), items.end());
  }
  EXPECT_EQ(alive.catalogue, static_cast<int64_t>(ever.size()));
  EXPECT_EQ(alive.distinct_recommended, alive.catalogue);  // lists longer than the catalogue
}

TEST_F(Catalogue, RefusesVectorsThatAreNotFinite) {
  open();
  class Diverged : public WholeTowers {
   public:
    void encode_items(const SideBatch&, std::span<float> out) const override {
      std::fill(out.begin(), out.end(), NAN);
    }
  };
  EXPECT_THROW(rank_catalogue(*dataset_, Diverged(), {}), Error);
}

TEST(LogShare, MatchesHandTable) {
  const std::vector<float> shares = log_share(std::vector<int64_t>{0, 1, 5});
  EXPECT_FLOAT_EQ(shares[0], std::log(1.0f / 9));
  EXPECT_FLOAT_EQ(shares[1], std::log(2.0f / 9));
  EXPECT_FLOAT_EQ(shares[2], std::log(6.0f / 9));
}

}  // namespace
}  // namespace retort
