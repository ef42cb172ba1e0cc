// Batches of impressions: whole requests, what the log says of them, the same whatever the parts.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "tests/support/batch_equal.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/tiny_dataset.h"
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/rng.h"
#include "retort/dataset/loader.h"

namespace retort {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

/// The random feed, each click at the top of a request with up to six other articles below it.
TinyDataset with_impressions(bool unclicked_seconds) {
  TinyDataset tiny = random_tiny_dataset(17, 12, 20, 300);
  std::erase_if(tiny.schema.features,
                [](const FeatureSpec& spec) { return spec.source == FeatureSource::kContext; });
  std::erase_if(tiny.ids, [](const auto& column) { return column.first.starts_with("clicks."); });
  std::erase_if(tiny.values,
                [](const auto& column) { return column.first.starts_with("clicks."); });
  tiny.unclicked_seconds = unclicked_seconds;
  tiny.logged_scores = true;
  const Rng rng(2, "shown");
  uint64_t draws = 0;
  const auto below = [&](int32_t n) {
    return static_cast<int32_t>(rng.below(static_cast<uint64_t>(n), draws++));
  };
  for (size_t i = 0; i < tiny.clicks.size(); ++i) {
    const TinyClick& click = tiny.clicks[i];
    const int32_t size = 1 + below(7);
    for (int32_t position = 0; position < size; ++position) {
      TinyShown shown{click.user, position == 0 ? click.item : below(tiny.items), click.time,
                      static_cast<int64_t>(i), position};
      if (position == 0) shown.click = static_cast<int64_t>(i);
      shown.split = click.split;
      shown.seconds = position == 0 ? click.seconds : below(4) == 0 ? kNaN : 0.0F;
      shown.score_click = static_cast<float>(draws);
      shown.score_dwm = -static_cast<float>(draws);
      shown.snapshot = static_cast<int32_t>(i % 5);
      tiny.shown.push_back(shown);
    }
  }
  return tiny;
}

class ImpressionRows : public testing::Test {
 protected:
  void SetUp() override {
    tiny_ = with_impressions(true);
    tiny_.write(folder_ / "d");
    dataset_ = std::make_unique<Dataset>(folder_ / "d");
  }
  LoaderOptions options(bool training = true) const {
    LoaderOptions options;
    options.rows = "impressions";
    options.batch = 50;
    options.training = training;
    return options;
  }
  static std::vector<Batch> epoch(const Loader& loader, int64_t number) {
    std::vector<Batch> batches(static_cast<size_t>(loader.batches()));
    for (size_t i = 0; i < batches.size(); ++i)
      loader.load(number, static_cast<int64_t>(i), batches[i]);
    return batches;
  }
  ScratchFolder folder_;
  TinyDataset tiny_;
  std::unique_ptr<Dataset> dataset_;
};

TEST_F(ImpressionRows, AnEpochHoldsEveryRequestOnceAndWhole) {
  const Loader loader(*dataset_, options());
  int64_t rows = 0, clicks = 0;
  for (const TinyShown& shown : tiny_.shown) {
    if (shown.split != Split::kTrain) continue;
    ++rows;
    clicks += shown.click >= 0 ? 1 : 0;
  }
  EXPECT_EQ(loader.rows(), rows);
  EXPECT_EQ(loader.positives(), clicks);
  std::map<float, const TinyShown*> by_score;  // a row's score is its name
  for (const TinyShown& shown : tiny_.shown) by_score[shown.score_click] = &shown;
  for (const int64_t number : {0, 1, 7}) {
    std::set<float> seen;
    for (const Batch& batch : epoch(loader, number)) {
      ASSERT_GT(batch.rows(), 0);
      ASSERT_LE(batch.rows(), 50);
      std::map<int64_t, std::vector<int64_t>> positions;
      for (size_t r = 0; r < batch.item.size(); ++r) {
        ASSERT_TRUE(seen.insert(batch.logged.click[r]).second);
        const TinyShown& shown = *by_score.at(batch.logged.click[r]);
        positions[shown.request].push_back(shown.position);
        ASSERT_EQ(batch.item[r], shown.item);
        ASSERT_EQ(batch.user[r], shown.user);
        ASSERT_EQ(batch.time[r], shown.time);
        ASSERT_EQ(batch.click[r], shown.click >= 0 ? 1 : 0);
        ASSERT_EQ(batch.read[r], shown.click >= 0 && shown.seconds > 30 ? 1 : 0);
        ASSERT_EQ(batch.known[r], std::isnan(shown.seconds) ? 0 : 1);
        ASSERT_EQ(batch.seconds[r], std::isnan(shown.seconds) ? 0 : shown.seconds);
        ASSERT_EQ(batch.logged.dwm[r], shown.score_dwm);
        ASSERT_EQ(batch.logged.snapshot[r], shown.snapshot);
        const bool continues = r > 0 && batch.user_of_row[r] == batch.user_of_row[r - 1];
        ASSERT_EQ(continues, shown.position > 0);
      }
      for (const auto& [request, found] : positions) {
        const auto size = std::count_if(tiny_.shown.begin(), tiny_.shown.end(),
                                        [&](const TinyShown& s) { return s.request == request; });
        ASSERT_EQ(std::ssize(found), size);
        ASSERT_TRUE(std::is_sorted(found.begin(), found.end()));
      }
      ASSERT_EQ(batch.users.rows, std::ssize(positions));
      ASSERT_EQ(batch.items.rows, batch.rows());
      ASSERT_EQ(batch.pairs.rows, batch.rows());
    }
    EXPECT_EQ(std::ssize(seen), rows);
  }
}

TEST_F(ImpressionRows, ABatchIsTheSameAloneAndEpochsDiffer) {
  const Loader loader(*dataset_, options());
  const auto first = epoch(loader, 3), other = epoch(loader, 4);
  Batch alone;
  Loader(*dataset_, options()).load(3, 5, alone);
  EXPECT_TRUE(equal(alone, first.at(5)));
  EXPECT_EQ(alone.logged.snapshot, first.at(5).logged.snapshot);
  EXPECT_FALSE(equal(first.at(0), other.at(0)));
  for (size_t i = 0; i < first.size(); ++i)
    EXPECT_EQ(loader.rows_of(3, static_cast<int64_t>(i)), first[i].rows());
  for (int64_t epoch = 0; epoch < 9; ++epoch)  // more epochs than are remembered
    loader.load(epoch, 0, alone);
  loader.load(3, 5, alone);
  EXPECT_TRUE(equal(alone, first.at(5)));
}

TEST_F(ImpressionRows, ThePartsOfABatchAreItsRequestsInOrder) {
  const auto whole = epoch(Loader(*dataset_, options()), 1);
  for (const int32_t parts : {2, 3, 30}) {  // a batch has 12 requests or so: some parts are empty
    std::vector<Batch> joined(whole.size());
    for (int32_t part = 0; part < parts; ++part) {
      LoaderOptions of_part = options();
      of_part.part = part;
      of_part.parts = parts;
      const Loader loader(*dataset_, of_part);
      const auto own = epoch(loader, 1);
      ASSERT_EQ(own.size(), whole.size());
      for (size_t i = 0; i < own.size(); ++i) {
        ASSERT_EQ(loader.rows_of(1, static_cast<int64_t>(i)), whole[i].rows());
        const auto append = [](auto& to, const auto& from) {
          to.insert(to.end(), from.begin(), from.end());
        };
        append(joined[i].item, own[i].item);
        append(joined[i].known, own[i].known);
        append(joined[i].items.dense, own[i].items.dense);
        append(joined[i].users.dense, own[i].users.dense);
      }
    }
    for (size_t i = 0; i < whole.size(); ++i) {
      EXPECT_EQ(joined[i].item, whole[i].item);
      EXPECT_EQ(joined[i].known, whole[i].known);
      EXPECT_EQ(joined[i].items.dense, whole[i].items.dense);
      EXPECT_EQ(joined[i].users.dense, whole[i].users.dense);
    }
  }
}

TEST_F(ImpressionRows, FileOrderAndEvenlySpacedRequestsWithoutTraining) {
  LoaderOptions frozen = options(false);
  frozen.split = Split::kTest;
  std::vector<int64_t> order;
  for (const Batch& batch : epoch(Loader(*dataset_, frozen), 0))
    for (const int64_t time : batch.time) order.push_back(time);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  frozen.limit = 10;
  const Loader few(*dataset_, frozen);
  EXPECT_EQ(few.positives(), 10);
  int64_t groups = 0;
  for (const Batch& batch : epoch(few, 0)) groups += batch.users.rows;
  EXPECT_EQ(groups, 10);
}

TEST_F(ImpressionRows, UnclickedAreKnownToBeNotReadWhereOnlyClicksHaveSeconds) {
  TinyDataset plain = with_impressions(false);
  plain.logged_scores = false;
  plain.write(folder_ / "plain");
  const Dataset dataset(folder_ / "plain");
  Batch batch;
  Loader(dataset, options()).load(0, 0, batch);
  for (size_t r = 0; r < batch.item.size(); ++r)
    EXPECT_TRUE(batch.click[r] == 1 || (batch.known[r] == 1 && batch.seconds[r] == 0));
  EXPECT_TRUE(batch.logged.click.empty() && batch.logged.snapshot.empty());
}

TEST_F(ImpressionRows, ClickRowsSayWhichSecondsAreKnown) {
  LoaderOptions clicks;
  clicks.batch = 40;
  const Loader loader(*dataset_, clicks);
  bool unknown = false;
  for (const Batch& batch : epoch(loader, 0))
    for (size_t r = 0; r < batch.item.size(); ++r) {
      ASSERT_TRUE(batch.click[r] == 1 || batch.known[r] == 1);
      if (batch.known[r] == 1) continue;
      unknown = true;
      ASSERT_EQ(batch.seconds[r], 0);
    }
  EXPECT_TRUE(unknown);
}

TEST_F(ImpressionRows, RefuseWhatCannotWork) {
  LoaderOptions wrong = options();
  wrong.rows = "requests";
  EXPECT_THROW(Loader(*dataset_, wrong), ConfigError);
  wrong = options();
  wrong.batch = 20;  // requests of up to seven
  EXPECT_THROW(Loader(*dataset_, wrong), ConfigError);
  TinyDataset bare = random_tiny_dataset(1);
  bare.write(folder_ / "bare");
  EXPECT_THROW(Loader(Dataset(folder_ / "bare"), options()), ConfigError);
  TinyDataset context = with_impressions(true);
  context.schema.features.push_back({.name = "scroll",
                                     .kind = FeatureKind::kDense,
                                     .source = FeatureSource::kContext,
                                     .column = "scroll"});
  context.values["clicks.scroll"].assign(context.clicks.size(), 1);
  context.write(folder_ / "context");
  EXPECT_THROW(Loader(Dataset(folder_ / "context"), options()), ConfigError);
  TinyDataset broken = with_impressions(true);
  broken.shown.front().item = 99;
  broken.write(folder_ / "broken");
  EXPECT_THROW(Dataset(folder_ / "broken"), DataError);
}

}  // namespace
}  // namespace retort
