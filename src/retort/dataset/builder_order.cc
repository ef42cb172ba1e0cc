#include "retort/dataset/builder_order.h"

#include <algorithm>

#include "retort/common/progress.h"
#include "retort/common/thread_pool.h"

namespace retort {
namespace {

constexpr int64_t kBlock = int64_t{1} << 16;  // clicks whose keys are asked for at once
constexpr int64_t kBuckets = int64_t{1} << 16;

bool earlier(const TimedClick& a, const TimedClick& b) {
  return a.time != b.time ? a.time < b.time : a.click < b.click;
}

/// Calls `each(click, key)` for all clicks in order.
template <class Each>
void for_keys(int64_t clicks, const KeysOfClicks& keys_of, const Each& each) {
  std::vector<int32_t> keys(static_cast<size_t>(kBlock));
  for (int64_t begin = 0; begin < clicks; begin += kBlock) {
    check_interrupt("ingest");
    const int64_t end = std::min(clicks, begin + kBlock);
    keys_of(begin, end, keys.data());
    for (int64_t click = begin; click < end; ++click)
      each(click, keys[static_cast<size_t>(click - begin)]);
  }
}

/// The clicks of the keys [first, last), each key's in order; `begin` as in ClickGroups.
void gather(std::span<const int64_t> time, const KeysOfClicks& keys_of, int64_t first, int64_t last,
            const std::vector<int64_t>& begin, std::vector<TimedClick>& clicks) {
  clicks.resize(static_cast<size_t>(begin.back()));
  std::vector<int64_t> next = begin;
  for_keys(static_cast<int64_t>(time.size()), keys_of, [&](int64_t click, int32_t key) {
    if (key < first || key >= last) return;
    int64_t& at = next[static_cast<size_t>(key - first)];
    clicks[static_cast<size_t>(at++)] = {time[static_cast<size_t>(click)], click};
  });
  parallel_for(0, last - first, 64, [&](int64_t from, int64_t to) {
    for (int64_t key = from; key < to; ++key) {
      const auto group = clicks.begin() + begin[static_cast<size_t>(key)];
      const auto end = clicks.begin() + begin[static_cast<size_t>(key) + 1];
      if (!std::is_sorted(group, end, earlier)) std::sort(group, end, earlier);
    }
  });
}

}  // namespace

void for_click_groups(std::span<const int64_t> time, int64_t count, const KeysOfClicks& keys_of,
                      const std::function<void(const ClickGroups&)>& each, int64_t at_once) {
  std::vector<int64_t> sizes(static_cast<size_t>(count), 0);
  for_keys(static_cast<int64_t>(time.size()), keys_of,
           [&](int64_t, int32_t key) { ++sizes[static_cast<size_t>(key)]; });
  std::vector<TimedClick> clicks;
  for (int64_t first = 0; first < count;) {
    std::vector<int64_t> begin{0};
    int64_t last = first;
    while (last < count &&
           (last == first || begin.back() + sizes[static_cast<size_t>(last)] <= at_once))
      begin.push_back(begin.back() + sizes[static_cast<size_t>(last++)]);
    gather(time, keys_of, first, last, begin, clicks);
    each({first, begin, clicks});
    first = last;
  }
}

void for_clicks_by_time(std::span<const int64_t> time,
                        const std::function<void(std::span<const TimedClick>)>& each) {
  if (time.empty()) return;
  const auto [least, most] = std::minmax_element(time.begin(), time.end());
  const auto low = static_cast<uint64_t>(*least), range = static_cast<uint64_t>(*most) - low;
  int shift = 0;
  while ((range >> shift) >= static_cast<uint64_t>(kBuckets)) ++shift;
  const auto bucket_of = [&](int64_t begin, int64_t end, int32_t* keys) {
    for (int64_t click = begin; click < end; ++click)
      keys[click - begin] = static_cast<int32_t>(
          (static_cast<uint64_t>(time[static_cast<size_t>(click)]) - low) >> shift);
  };
  for_click_groups(time, static_cast<int64_t>(range >> shift) + 1, bucket_of,
                   [&](const ClickGroups& groups) { each(groups.clicks); });
}

}  // namespace retort
