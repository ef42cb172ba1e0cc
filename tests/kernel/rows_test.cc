#include "retort/kernel/rows.h"

#include <algorithm>
#include <map>
#include <vector>

#include <gmock/gmock.h>

#include "retort/common/rng.h"

namespace retort {
namespace {

using ::testing::ElementsAre;

TEST(GroupedIds, ListsPlacesOfEachDistinctIdInOrder) {
  GroupedIds grouped;
  for (const int64_t size : {0, 1, 7, 5000, 3}) {  // the memory is that of the one before
    const Rng rng(5, "ids");
    std::vector<int64_t> ids;
    for (int64_t i = 0; i < size; ++i)
      ids.push_back(static_cast<int64_t>(rng.below(900, static_cast<uint64_t>(i))) << 20);
    grouped.group(ids);
    std::map<int64_t, std::vector<int32_t>> expected;
    std::vector<int64_t> order;
    for (size_t p = 0; p < ids.size(); ++p) {
      if (!expected.contains(ids[p])) order.push_back(ids[p]);
      expected[ids[p]].push_back(static_cast<int32_t>(p));
    }
    ASSERT_TRUE(std::ranges::equal(grouped.distinct(), order));
    for (size_t k = 0; k < order.size(); ++k)
      ASSERT_TRUE(std::ranges::equal(grouped.places(static_cast<int64_t>(k)), expected[order[k]]));
  }
}

TEST(TakeRow, OverwritesThenAdds) {
  const std::vector<float> row{1, -2, 4};
  std::vector<Bf16> narrow(3);
  to_bf16(row.data(), 1, 3, 3, narrow.data(), 3);
  std::vector<float> sum(3, 99);
  take_row(row.data(), 3, 0.5F, false, sum.data());
  EXPECT_THAT(sum, ElementsAre(0.5F, -1, 2));
  take_row(narrow.data(), 3, 2, true, sum.data());
  EXPECT_THAT(sum, ElementsAre(2.5F, -5, 10));
}

}  // namespace
}  // namespace retort
