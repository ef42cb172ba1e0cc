#include "retort/kernel/pool.h"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

const std::vector<float> kTable{1, 10, 2, 20, 4, 40};  // 3 rows of 2

TEST(GatherPool, MeanAndSumOfRowsAndZerosForAnEmptyBag) {
  const std::vector<int32_t> ids{0, 2, 1}, offsets{0, 2, 2, 3};
  std::vector<float> out(6, -1);
  gather_pool(kTable, 2, ids, offsets, Pooling::kMean, out, 2);
  EXPECT_THAT(out, ElementsAre(2.5f, 25, 0, 0, 2, 20));
  gather_pool(kTable, 2, ids, offsets, Pooling::kSum, out, 2);
  EXPECT_THAT(out, ElementsAre(5, 50, 0, 0, 2, 20));
}

TEST(GatherPool, RepeatedIdsCountEachTime) {
  const std::vector<int32_t> ids{0, 0, 1}, offsets{0, 3};
  std::vector<float> out(2);
  gather_pool(kTable, 2, ids, offsets, Pooling::kSum, out, 2);
  EXPECT_THAT(out, ElementsAre(4, 40));
}

TEST(GatherPool, LeavesTheOtherColumnsOfAWideOutputAlone) {
  const std::vector<int32_t> ids{1, 2}, offsets{0, 1, 2};
  std::vector<float> out(7, -1);
  gather_pool(kTable, 2, ids, offsets, Pooling::kMean, std::span(out).subspan(1), 4);
  EXPECT_THAT(out, ElementsAre(-1, 2, 20, -1, -1, 4, 40));
}

TEST(GatherPool, RefusesWhatIsOutOfBounds) {
  std::vector<float> out(4);
  const auto pool = [&](std::vector<int32_t> ids, std::vector<int32_t> offsets, int64_t stride) {
    return [&out, ids, offsets, stride] {
      gather_pool(kTable, 2, ids, offsets, Pooling::kMean, out, stride);
    };
  };
  EXPECT_THAT(pool({3}, {0, 1}, 2), ThrowsMessage<ArgumentError>(HasSubstr("id 3 is outside")));
  EXPECT_THAT(pool({-1}, {0, 1}, 2), ThrowsMessage<ArgumentError>(HasSubstr("id -1")));
  EXPECT_THAT(pool({1}, {0, 2}, 2), ThrowsMessage<ArgumentError>(HasSubstr("[0, 2) of 1 ids")));
  EXPECT_THAT(pool({1, 1}, {0, 2, 1}, 2), ThrowsMessage<ArgumentError>(HasSubstr("[2, 1)")));
  EXPECT_THAT(pool({1, 1, 1}, {0, 1, 2, 3}, 2), ThrowsMessage<ArgumentError>(HasSubstr("short")));
  EXPECT_THAT(pool({1}, {0, 1}, 1), ThrowsMessage<ArgumentError>(HasSubstr("stride")));
}

}  // namespace
}  // namespace retort
