// The feeding path allocates nothing once its buffers have grown. This executable alone counts
// calls of operator new.
#include <atomic>
#include <cstdlib>
#include <new>
#include <string>

#include "tests/support/scratch_folder.h"
#include "tests/support/tiny_dataset.h"
#include <gtest/gtest.h>

#include "retort/dataset/loader.h"
#include "retort/dataset/prefetcher.h"

namespace {

std::atomic<int64_t> allocations = 0;

void* counted(size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(size_t size) { return counted(size); }
void* operator new[](size_t size) { return counted(size); }
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size);
}
void* operator new[](size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

namespace retort {
namespace {

TEST(Counter, SeesAVectorGrow) {
  const int64_t before = allocations;
  const std::vector<int> values(100, 7);
  EXPECT_EQ(values.back(), 7);
  EXPECT_GE(allocations - before, 1);
}

/// Every kind of feature, clicks with sampled negatives or what was shown.
class Feeding : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    TinyDataset data = random_tiny_dataset(3, 40, 30, 1200);
    options_.batch = 64;
    if (GetParam() == "impressions") {
      options_.rows = "impressions";
      std::erase_if(data.schema.features,
                    [](const FeatureSpec& spec) { return spec.source == FeatureSource::kContext; });
      for (size_t i = 0; i < 1200; ++i) {
        const TinyClick& click = data.clicks[i];
        data.shown.push_back({.user = click.user,
                              .item = static_cast<int32_t>(i % 30),
                              .time = click.time,
                              .request = static_cast<int64_t>(i),
                              .split = click.split});
      }
    } else {
      options_.sampler = GetParam();
      options_.reject_clicked = true;
      if (GetParam() == "trailing") options_.sampling.window = int64_t{86'400'000'000};
    }
    data.write(folder_ / "d");
    dataset_ = std::make_unique<Dataset>(folder_ / "d");
    loader_ = std::make_unique<Loader>(*dataset_, options_);
  }

  ScratchFolder folder_;
  LoaderOptions options_;
  std::unique_ptr<Dataset> dataset_;
  std::unique_ptr<Loader> loader_;
};
INSTANTIATE_TEST_SUITE_P(Rows, Feeding,
                         ::testing::Values("frequency", "uniform", "trailing", "impressions"));

TEST_P(Feeding, ALoadedBatchAllocatesNothingAfterTheFirstEpoch) {
  Batch batch;
  for (int64_t index = 0; index < loader_->batches(); ++index) loader_->load(1, index, batch);
  const int64_t before = allocations;
  for (int64_t index = 0; index < loader_->batches(); ++index) loader_->load(1, index, batch);
  EXPECT_EQ(allocations - before, 0);
}

TEST_P(Feeding, ThePrefetcherAllocatesNothingAfterAFewEpochs) {
  // Each slot of the ring sees every batch of the epoch before the count begins.
  Prefetcher prefetcher(*loader_, 2);
  const auto epoch = [&] {
    prefetcher.start(1);
    int64_t rows = 0;
    while (const Batch* batch = prefetcher.next()) rows += batch->rows();
    return rows;
  };
  const auto all_rows = epoch();
  for (int64_t shift = 0; shift < 3; ++shift) {
    prefetcher.start(1, shift);
    while (prefetcher.next() != nullptr) {
    }
  }
  const int64_t before = allocations;
  EXPECT_EQ(epoch(), all_rows);
  EXPECT_EQ(allocations - before, 0);
}

}  // namespace
}  // namespace retort
