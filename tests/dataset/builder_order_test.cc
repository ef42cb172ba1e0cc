#include "retort/dataset/builder_order.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include <gtest/gtest.h>

#include "retort/common/rng.h"

namespace retort {
namespace {

std::vector<int64_t> times(int64_t size, uint64_t distinct) {
  const Rng rng(3, "times");
  std::vector<int64_t> values;
  for (int64_t i = 0; i < size; ++i)
    values.push_back(static_cast<int64_t>(rng.below(distinct, static_cast<uint64_t>(i))));
  return values;
}

TEST(ClickGroups, AreByKeyThenTimeThenNumberWhateverIsHeldAtOnce) {
  const std::vector<int64_t> time = times(5000, 300);
  const Rng rng(3, "keys");
  std::vector<int32_t> keys;
  for (size_t i = 0; i < time.size(); ++i)
    keys.push_back(static_cast<int32_t>(rng.below(rng.below(2, 2 * i) == 0 ? 70 : 7, 2 * i + 1)));
  std::vector<int64_t> expected(time.size());
  std::iota(expected.begin(), expected.end(), 0);
  std::sort(expected.begin(), expected.end(), [&](int64_t a, int64_t b) {
    const auto x = static_cast<size_t>(a), y = static_cast<size_t>(b);
    return std::tuple(keys[x], time[x], a) < std::tuple(keys[y], time[y], b);
  });
  const auto keys_of = [&](int64_t begin, int64_t end, int32_t* to) {
    std::copy(keys.begin() + begin, keys.begin() + end, to);
  };
  for (const int64_t at_once : {1, 100, 2000, 1 << 22}) {
    std::vector<int64_t> got;
    int64_t next = 0, calls = 0;
    for_click_groups(
        time, 90, keys_of,  // the last twenty keys have no clicks
        [&](const ClickGroups& groups) {
          EXPECT_EQ(groups.first, next);
          for (size_t k = 0; k + 1 < groups.begin.size(); ++k, ++next)
            for (int64_t at = groups.begin[k]; at < groups.begin[k + 1]; ++at) {
              const TimedClick& click = groups.clicks[static_cast<size_t>(at)];
              EXPECT_EQ(keys[static_cast<size_t>(click.click)], next);
              EXPECT_EQ(time[static_cast<size_t>(click.click)], click.time);
              got.push_back(click.click);
            }
          ++calls;
        },
        at_once);
    EXPECT_EQ(next, 90);
    EXPECT_EQ(got, expected);
    EXPECT_EQ(calls == 1, at_once == 1 << 22);
  }
}

TEST(ClicksByTime, AreAllClicksInOrderAlsoFarApartAndAllAtOnce) {
  std::vector<int64_t> far = times(3000, 1000);
  far[17] = 7'000'000'000'000'000;
  for (const std::vector<int64_t>& time :
       {far, times(3000, 1), times(1, 5), std::vector<int64_t>(), times(3000, uint64_t{1} << 62)}) {
    std::vector<int64_t> expected(time.size()), got;
    std::iota(expected.begin(), expected.end(), 0);
    std::stable_sort(expected.begin(), expected.end(), [&](int64_t a, int64_t b) {
      return time[static_cast<size_t>(a)] < time[static_cast<size_t>(b)];
    });
    for_clicks_by_time(time, [&](std::span<const TimedClick> clicks) {
      for (const TimedClick& click : clicks) {
        EXPECT_EQ(click.time, time[static_cast<size_t>(click.click)]);
        got.push_back(click.click);
      }
    });
    EXPECT_EQ(got, expected);
  }
}

}  // namespace
}  // namespace retort
