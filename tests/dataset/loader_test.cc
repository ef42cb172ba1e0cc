#include "retort/dataset/loader.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <thread>
#include <tuple>

#include "tests/support/batch_equal.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/tiny_dataset.h"
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

class Loaders : public ::testing::Test {
 protected:
  void SetUp() override {
    tiny_ = random_tiny_dataset(31);
    tiny_.write(folder_ / "d");
    dataset_ = std::make_unique<Dataset>(folder_ / "d");
  }
  LoaderOptions options(bool training = true) const {
    LoaderOptions options;
    options.batch = 32;
    options.negatives = 3;
    options.training = training;
    return options;
  }
  /// All batches of an epoch in order.
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

TEST_F(Loaders, RowsOfAWindowAreThoseWhoseMomentLiesInIt) {
  const Clicks& clicks = dataset_->clicks();
  std::vector<int64_t> times;
  for (const int64_t row : dataset_->rows_of(Split::kTrain)) times.push_back(clicks.time[row]);
  std::sort(times.begin(), times.end());
  LoaderOptions wanted = options();
  wanted.since = times[times.size() / 4];
  wanted.until = times[times.size() / 2];
  std::multiset<int64_t> expected, found;
  for (const int64_t row : dataset_->rows_of(Split::kTrain))
    if (clicks.time[row] >= wanted.since && clicks.time[row] < wanted.until) expected.insert(row);
  const Loader loader(*dataset_, wanted);
  for (const Batch& batch : epoch(loader, 1))
    for (size_t row = 0; row < batch.item.size(); ++row) {
      ASSERT_EQ(batch.source[row] >= 0, row % 4 == 0);
      if (batch.source[row] < 0) continue;
      ASSERT_EQ(clicks.item[batch.source[row]], batch.item[row]);
      found.insert(batch.source[row]);
    }
  EXPECT_EQ(found, expected);
  EXPECT_EQ(loader.positives(), std::ssize(expected));
  EXPECT_EQ(before_end_of(*dataset_, Split::kTrain, 5, "here"), times.back() + 1 - 5);
}

TEST_F(Loaders, NegativesMayBeThoseOfOneEpochForAll) {
  const auto pairs = [&](const Loader& loader, int64_t number) {
    std::multiset<std::tuple<int32_t, int64_t, int32_t>> found;
    for (const Batch& batch : epoch(loader, number))
      for (size_t row = 0; row < batch.item.size(); ++row)
        found.emplace(batch.user[row], batch.time[row], batch.item[row]);
    return found;
  };
  const Loader fresh(*dataset_, options());
  LoaderOptions wanted = options();
  wanted.negatives_epoch = 0;
  const Loader frozen(*dataset_, wanted);
  wanted.training = false;
  const Loader in_order(*dataset_, wanted);
  EXPECT_EQ(pairs(frozen, 2), pairs(fresh, 0));
  EXPECT_EQ(pairs(in_order, 0), pairs(fresh, 0));
  EXPECT_NE(pairs(fresh, 2), pairs(fresh, 0));
}

TEST_F(Loaders, ThePartsOfABatchAreItsRowsInOrder) {
  const Loader whole(*dataset_, options());
  const std::vector<Batch> batches = epoch(whole, 1);
  for (const int32_t parts : {2, 3, 11}) {  // 8 positives a batch: some of 11 parts are empty
    std::vector<Batch> joined(batches.size());
    for (int32_t part = 0; part < parts; ++part) {
      LoaderOptions of_part = options();
      of_part.part = part;
      of_part.parts = parts;
      const Loader loader(*dataset_, of_part);
      ASSERT_EQ(loader.batches(), whole.batches());
      ASSERT_EQ(loader.rows(), whole.rows());
      const std::vector<Batch> own = epoch(loader, 1);
      for (size_t i = 0; i < own.size(); ++i) {
        ASSERT_EQ(loader.rows_of(1, static_cast<int64_t>(i)), batches[i].rows());
        ASSERT_EQ(own[i].items.rows, own[i].rows());
        ASSERT_EQ(own[i].users.rows * 4, own[i].rows());
        const auto append = [](auto& to, const auto& from) {
          to.insert(to.end(), from.begin(), from.end());
        };
        append(joined[i].item, own[i].item);
        append(joined[i].user, own[i].user);
        append(joined[i].time, own[i].time);
        append(joined[i].read, own[i].read);
        append(joined[i].items.dense, own[i].items.dense);
        append(joined[i].users.dense, own[i].users.dense);
      }
    }
    for (size_t i = 0; i < batches.size(); ++i) {
      EXPECT_EQ(joined[i].item, batches[i].item);
      EXPECT_EQ(joined[i].user, batches[i].user);
      EXPECT_EQ(joined[i].time, batches[i].time);
      EXPECT_EQ(joined[i].read, batches[i].read);
      EXPECT_EQ(joined[i].items.dense, batches[i].items.dense);
      EXPECT_EQ(joined[i].users.dense, batches[i].users.dense);
    }
  }
}

TEST_F(Loaders, AnEpochHoldsEachPositiveOnceWithItsNegatives) {
  const Loader loader(*dataset_, options());
  const auto rows = dataset_->rows_of(Split::kTrain);
  EXPECT_EQ(loader.positives(), static_cast<int64_t>(rows.size()));
  EXPECT_EQ(loader.rows(), 4 * loader.positives());
  EXPECT_EQ(loader.batches(), (loader.positives() + 7) / 8);
  std::multiset<std::tuple<int32_t, int32_t, int64_t, float, float>> seen, expected;
  int64_t total = 0;
  for (const Batch& batch : epoch(loader, 0)) {
    total += batch.rows();
    ASSERT_LE(batch.rows(), 32);
    for (size_t r = 0; r < batch.item.size(); ++r) {
      const size_t positive = r - r % 4;
      ASSERT_EQ(batch.click[r], r % 4 == 0 ? 1 : 0);
      ASSERT_EQ(batch.user[r], batch.user[positive]);
      ASSERT_EQ(batch.time[r], batch.time[positive]);
      ASSERT_EQ(batch.user_of_row[r], static_cast<int32_t>(r / 4));
      if (r % 4 == 0) {
        seen.emplace(batch.user[r], batch.item[r], batch.time[r], batch.read[r], batch.seconds[r]);
        continue;
      }
      ASSERT_EQ(batch.read[r], 0);
      ASSERT_EQ(batch.seconds[r], 0);
    }
  }
  for (const int64_t row : rows) {
    const TinyClick& click = tiny_.clicks[static_cast<size_t>(row)];
    expected.emplace(click.user, click.item, click.time, click.seconds > 30 ? 1 : 0,
                     std::isnan(click.seconds) ? 0 : click.seconds);
  }
  EXPECT_EQ(total, loader.rows());
  EXPECT_EQ(seen, expected);
}

TEST_F(Loaders, ABatchIsTheSameAloneInOrderAndFromThreads) {
  const Loader loader(*dataset_, options());
  const std::vector<Batch> in_order = epoch(loader, 2);
  const Loader fresh(*dataset_, options());
  Batch alone;
  fresh.load(2, 7, alone);
  EXPECT_TRUE(equal(alone, in_order.at(7)));
  std::vector<Batch> threaded(in_order.size());
  std::vector<std::thread> threads;
  for (size_t thread = 0; thread < 3; ++thread)
    threads.emplace_back([&, thread] {
      for (size_t i = thread; i < threaded.size(); i += 3)
        loader.load(2, static_cast<int64_t>(i), threaded[i]);
    });
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < in_order.size(); ++i) EXPECT_TRUE(equal(threaded[i], in_order[i])) << i;
}

TEST_F(Loaders, ABufferUsedBeforeGivesTheSameBatch) {
  const Loader loader(*dataset_, options());
  Batch used, fresh;
  loader.load(0, loader.batches() - 1, used);
  loader.load(0, 0, used);
  loader.load(0, 0, fresh);
  EXPECT_TRUE(equal(used, fresh));
}

TEST_F(Loaders, FeaturesAreThoseOfTheAssemblerAtThePositivesMoment) {
  LoaderOptions frozen = options(false);
  frozen.split = Split::kTest;
  const Loader loader(*dataset_, frozen);
  const Assembler assembler(*dataset_);
  for (const Batch& batch : epoch(loader, 0)) {
    std::vector<UserMoment> users, pair_users;
    std::vector<ItemMoment> items;
    for (size_t r = 0; r < batch.item.size(); ++r) {
      items.push_back({batch.item[r], batch.time[r]});
      if (batch.click[r] == 1) {
        const auto& clicks = tiny_.clicks;
        const auto at = std::find_if(clicks.begin(), clicks.end(), [&](const TinyClick& click) {
          return click.split == Split::kTest && click.user == batch.user[r] &&
                 click.item == batch.item[r] && click.time == batch.time[r];
        });
        users.push_back({batch.user[r], batch.time[r], at - clicks.begin()});
      }
      pair_users.push_back(users.back());
    }
    Batch expected;
    assembler.users(users, expected.users);
    assembler.items(items, expected.items);
    assembler.pairs(pair_users, items, expected.pairs);
    EXPECT_EQ(expected.users.dense, batch.users.dense);
    EXPECT_TRUE(equal(expected.items, batch.items));
    EXPECT_TRUE(equal(expected.pairs, batch.pairs));
  }
}

TEST_F(Loaders, TrainingChangesOrderAndNegativesEachEpoch) {
  const Loader loader(*dataset_, options());
  const auto first = epoch(loader, 0), second = epoch(loader, 1);
  int64_t same_positive = 0, positives = 0;
  for (size_t b = 0; b < first.size(); ++b)
    for (size_t r = 0; r < first[b].item.size(); r += 4) {
      same_positive +=
          first[b].user[r] == second[b].user[r] && first[b].time[r] == second[b].time[r];
      ++positives;
    }
  EXPECT_LT(same_positive, positives / 10);
  LoaderOptions other = options();
  other.seed = 2;
  Batch batch;
  Loader(*dataset_, other).load(0, 0, batch);
  EXPECT_FALSE(equal(batch, first[0]));
}

TEST_F(Loaders, FrozenNegativesDependOnTheClickAlone) {
  LoaderOptions frozen = options(false);
  frozen.split = Split::kValid;
  const Loader loader(*dataset_, frozen);
  const auto rows = dataset_->rows_of(Split::kValid);
  const auto first = epoch(loader, 0), second = epoch(loader, 5);
  std::map<int64_t, std::vector<int32_t>> negatives;
  size_t place = 0;
  for (size_t b = 0; b < first.size(); ++b) {
    EXPECT_TRUE(equal(first[b], second[b]));
    for (size_t r = 0; r < first[b].item.size(); r += 4, ++place) {  // file order
      ASSERT_EQ(first[b].item[r], tiny_.clicks[static_cast<size_t>(rows[place])].item);
      negatives[rows[place]] = {first[b].item[r + 1], first[b].item[r + 2], first[b].item[r + 3]};
    }
  }
  // Other batch sizes, fewer positives and more negatives do not change them.
  LoaderOptions wider = frozen;
  wider.batch = 25;
  wider.negatives = 4;
  wider.limit = loader.positives() / 2;
  const Loader half(*dataset_, wider);
  EXPECT_EQ(half.positives(), loader.positives() / 2);
  place = 0;
  for (const Batch& batch : epoch(half, 0))
    for (size_t r = 0; r < batch.item.size(); r += 5, ++place) {
      const auto at =
          static_cast<size_t>(static_cast<int64_t>(place) * loader.positives() / half.positives());
      const auto& expected = negatives.at(rows[at]);
      ASSERT_EQ(std::vector(batch.item.begin() + static_cast<int64_t>(r) + 1,
                            batch.item.begin() + static_cast<int64_t>(r) + 4),
                expected);
    }
}

TEST_F(Loaders, NegativesFollowTheSampler) {
  LoaderOptions many = options();
  many.negatives = 15;
  const Loader loader(*dataset_, many);
  std::vector<double> counts(static_cast<size_t>(tiny_.items), 0);
  double total = 0;
  for (int64_t number = 0; number < 20; ++number)
    for (const Batch& batch : epoch(loader, number))
      for (size_t r = 0; r < batch.item.size(); ++r)
        if (batch.click[r] == 0) {
          ++counts[static_cast<size_t>(batch.item[r])];
          ++total;
        }
  const auto clicks = dataset_->train_clicks();
  for (size_t item = 0; item < counts.size(); ++item) {
    const double q = static_cast<double>(clicks[item]) / static_cast<double>(loader.positives());
    EXPECT_NEAR(counts[item] / total, q, 5 * std::sqrt(q * (1 - q) / total) + 1e-12) << item;
  }
}

TEST_F(Loaders, DropoutOfIdsIsForTrainingOnly) {
  const auto zeros = [&](bool training) {
    int count = 0, rows = 0;
    const Loader loader(*dataset_, options(training));
    for (const Batch& batch : epoch(loader, 0))
      for (const int32_t id : batch.items.sparse[0].ids) {  // item_id, oov_dropout 0.3
        count += id == 0 ? 1 : 0;
        ++rows;
      }
    return static_cast<double>(count) / rows;
  };
  EXPECT_NEAR(zeros(true), 0.3, 0.06);
  EXPECT_EQ(zeros(false), 0);
}

TEST_F(Loaders, NoNegativesAndEmptySplitsWork) {
  LoaderOptions none = options(false);
  none.negatives = 0;
  none.sampler = "unused";
  const Loader loader(*dataset_, none);
  EXPECT_EQ(loader.rows(), loader.positives());
  LoaderOptions empty = options();
  empty.split = Split::kHistory;
  const Loader nothing(*dataset_, empty);
  EXPECT_EQ(nothing.batches(), 0);
  Batch batch;
  EXPECT_THROW(nothing.load(0, 0, batch), ArgumentError);
}

TEST_F(Loaders, RefuseOptionsThatCannotWork) {
  LoaderOptions bad = options();
  bad.batch = 3;
  EXPECT_THROW(Loader(*dataset_, bad), ConfigError);
  bad = options();
  bad.negatives = -1;
  EXPECT_THROW(Loader(*dataset_, bad), ConfigError);
  bad = options();
  bad.sampler = "popular";
  EXPECT_THROW(Loader(*dataset_, bad), ConfigError);
  const Loader loader(*dataset_, options());
  Batch batch;
  EXPECT_THROW(loader.load(0, loader.batches(), batch), ArgumentError);
  EXPECT_THROW(loader.load(0, -1, batch), ArgumentError);
}

TEST(LoaderRejection, AvoidsItemsTheUserClickedInTraining) {
  const ScratchFolder folder;
  TinyDataset tiny = random_tiny_dataset(31, 60, 80);
  tiny.write(folder / "d");
  const Dataset dataset(folder / "d");
  LoaderOptions plain, rejecting;
  plain.batch = rejecting.batch = 40;
  rejecting.reject_clicked = true;
  const auto collisions = [&](const LoaderOptions& wanted) {
    std::set<std::pair<int32_t, int32_t>> clicked;
    for (const TinyClick& click : tiny.clicks)
      if (click.split == Split::kTrain) clicked.emplace(click.user, click.item);
    int count = 0;
    const Loader loader(dataset, wanted);
    for (int64_t index = 0; index < loader.batches(); ++index) {
      Batch batch;
      loader.load(0, index, batch);
      for (size_t r = 0; r < batch.item.size(); ++r)
        count += batch.click[r] == 0 && clicked.contains({batch.user[r], batch.item[r]}) ? 1 : 0;
    }
    return count;
  };
  const int before = collisions(plain), after = collisions(rejecting);
  EXPECT_GT(before, 40);
  EXPECT_EQ(after, 0);  // nine collisions in a row are out of reach here
}

}  // namespace
}  // namespace retort
