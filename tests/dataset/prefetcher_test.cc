#include "retort/dataset/prefetcher.h"

#include "tests/support/batch_equal.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/soak.h"
#include "tests/support/tiny_dataset.h"
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

class Prefetchers : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    random_tiny_dataset(41).write(folder_ / "d");
    dataset_ = std::make_unique<Dataset>(folder_ / "d");
    LoaderOptions options;
    options.batch = 20;
    loader_ = std::make_unique<Loader>(*dataset_, options);
  }
  void expect_epoch_from(Prefetcher& prefetcher, int64_t epoch, int64_t first) {
    for (int64_t index = first; index < loader_->batches(); ++index) {
      const Batch* batch = prefetcher.next();
      ASSERT_NE(batch, nullptr);
      Batch expected;
      loader_->load(epoch, index, expected);
      ASSERT_TRUE(equal(*batch, expected)) << "batch " << index;
    }
    EXPECT_EQ(prefetcher.next(), nullptr);
    EXPECT_EQ(prefetcher.next(), nullptr);
  }
  ScratchFolder folder_;
  std::unique_ptr<Dataset> dataset_;
  std::unique_ptr<Loader> loader_;
};
INSTANTIATE_TEST_SUITE_P(Depth, Prefetchers, ::testing::Values(1, 2, 7));

TEST_P(Prefetchers, GivesTheLoadersBatchesInOrder) {
  Prefetcher prefetcher(*loader_, GetParam());
  EXPECT_EQ(prefetcher.next(), nullptr);  // not started
  for (const int64_t epoch : {0, 1}) {
    prefetcher.start(epoch);
    expect_epoch_from(prefetcher, epoch, 0);
  }
  EXPECT_GE(prefetcher.waited_seconds(), 0.0);
  EXPECT_LT(prefetcher.waited_seconds(), 60.0);
}

TEST_P(Prefetchers, SeeksAtAnyMoment) {
  Prefetcher prefetcher(*loader_, GetParam());
  for (int64_t first = loader_->batches(); first >= 0; first -= 3) {
    prefetcher.start(3, 0);
    for (int64_t taken = 0; taken < first % 4; ++taken) ASSERT_NE(prefetcher.next(), nullptr);
    prefetcher.start(4, first);
    expect_epoch_from(prefetcher, 4, first);
  }
  EXPECT_THROW(prefetcher.start(0, loader_->batches() + 1), ArgumentError);
}

TEST_P(Prefetchers, HandsExceptionsOverAndCanStartAgain) {
  Prefetcher prefetcher(*loader_, GetParam());
  prefetcher.start(-1);  // the loader refuses a negative epoch
  EXPECT_THROW(prefetcher.next(), ArgumentError);
  EXPECT_EQ(prefetcher.next(), nullptr);
  prefetcher.start(0);
  expect_epoch_from(prefetcher, 0, 0);
}

TEST_P(Prefetchers, EndsWhileWorkIsAhead) {
  for (int round = 0; round < soak(20); ++round) {
    Prefetcher prefetcher(*loader_, GetParam());
    prefetcher.start(round);
    if (round % 2 == 0) {
      EXPECT_NE(prefetcher.next(), nullptr);
    }
  }
}

TEST(PrefetcherDepth, MustBePositive) {
  const ScratchFolder folder;
  random_tiny_dataset(41).write(folder / "d");
  const Dataset dataset(folder / "d");
  const Loader loader(dataset, {});
  EXPECT_THROW(Prefetcher(loader, 0), ArgumentError);
}

}  // namespace
}  // namespace retort
