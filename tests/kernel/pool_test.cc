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

RowTable table() { return {.rows = 3, .dim = 2, .floats = kTable.data()}; }

TEST(GatherPool, MeanAndSumOfRowsAndZerosForAnEmptyBag) {
  const std::vector<int32_t> ids{0, 2, 1}, offsets{0, 2, 2, 3};
  std::vector<float> out(6, -1);
  gather_pool(table(), ids, offsets, Pooling::kMean, out, 2);
  EXPECT_THAT(out, ElementsAre(2.5f, 25, 0, 0, 2, 20));
  gather_pool(table(), ids, offsets, Pooling::kSum, out, 2);
  EXPECT_THAT(out, ElementsAre(5, 50, 0, 0, 2, 20));
}

TEST(GatherPool, RepeatedIdsCountEachTime) {
  const std::vector<int32_t> ids{0, 0, 1}, offsets{0, 3};
  std::vector<float> out(2);
  gather_pool(table(), ids, offsets, Pooling::kSum, out, 2);
  EXPECT_THAT(out, ElementsAre(4, 40));
}

TEST(GatherPool, LeavesTheOtherColumnsOfAWideOutputAlone) {
  const std::vector<int32_t> ids{1, 2}, offsets{0, 1, 2};
  std::vector<float> out(7, -1);
  gather_pool(table(), ids, offsets, Pooling::kMean, std::span(out).subspan(1), 4);
  EXPECT_THAT(out, ElementsAre(-1, 2, 20, -1, -1, 4, 40));
}

TEST(GatherPool, RefusesWhatIsOutOfBounds) {
  std::vector<float> out(4);
  const auto pool = [&](std::vector<int32_t> ids, std::vector<int32_t> offsets, int64_t stride) {
    return [&out, ids, offsets, stride] {
      gather_pool(table(), ids, offsets, Pooling::kMean, out, stride);
    };
  };
  EXPECT_THAT(pool({3}, {0, 1}, 2), ThrowsMessage<ArgumentError>(HasSubstr("id 3 is outside")));
  EXPECT_THAT(pool({-1}, {0, 1}, 2), ThrowsMessage<ArgumentError>(HasSubstr("id -1")));
  EXPECT_THAT(pool({1}, {0, 2}, 2), ThrowsMessage<ArgumentError>(HasSubstr("[0, 2) of 1 ids")));
  EXPECT_THAT(pool({1, 1}, {0, 2, 1}, 2), ThrowsMessage<ArgumentError>(HasSubstr("[2, 1)")));
  EXPECT_THAT(pool({1, 1, 1}, {0, 1, 2, 3}, 2), ThrowsMessage<ArgumentError>(HasSubstr("short")));
  EXPECT_THAT(pool({1}, {0, 1}, 1), ThrowsMessage<ArgumentError>(HasSubstr("stride")));
}

TEST(RowTable, RowsOfEveryStorageAddUp) {
  std::vector<Bf16> bf16(6);
  to_bf16(kTable.data(), 1, 6, 6, bf16.data(), 6);
  std::vector<int8_t> int8(6);
  std::vector<float> scales;
  for (int64_t row = 0; row < 3; ++row)
    scales.push_back(quantise_row(kTable.data() + row * 2, 2, int8.data() + row * 2));
  const RowTable tables[] = {table(),
                             {.rows = 3, .dim = 2, .bf16 = bf16.data()},
                             {.rows = 3, .dim = 2, .int8 = int8.data(), .scales = scales.data()}};
  const std::vector<int32_t> ids{0, 2}, offsets{0, 2};
  for (const RowTable& stored : tables) {
    std::vector<float> out(2);
    gather_pool(stored, ids, offsets, Pooling::kSum, out, 2);
    EXPECT_NEAR(out[0], 5, 0.5 * (10 + 40) / 127.0);
    EXPECT_NEAR(out[1], 50, 1e-5);  // the largest of each row is exact
  }
}

TEST(QuantiseRow, RoundsToTheNearestOf255Steps) {
  const std::vector<float> values{-1.27F, 0.004F, 0.006F, 1.27F};
  std::vector<int8_t> out(4);
  EXPECT_FLOAT_EQ(quantise_row(values.data(), 4, out.data()), 0.01F);
  EXPECT_THAT(out, ElementsAre(-127, 0, 1, 127));
  const std::vector<float> zeros(4);
  EXPECT_EQ(quantise_row(zeros.data(), 4, out.data()), 0);
  EXPECT_THAT(out, ElementsAre(0, 0, 0, 0));
}

}  // namespace
}  // namespace retort
