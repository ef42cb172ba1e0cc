#include "retort/dataset/builder_timeline.h"

#include <cmath>

#include "retort/common/thread_pool.h"
#include "retort/dataset/columns.h"

namespace retort {
namespace {

constexpr size_t kAhead = 16;

/// Running sums of the clicks of some keys.
struct Sums {
  std::vector<int32_t> reads;
  std::vector<double> log_seconds;
};

void sum_groups(const ClickGroups& groups, std::span<const float> seconds,
                std::span<const uint8_t> is_read, Sums& sums) {
  sums.reads.resize(groups.clicks.size());
  sums.log_seconds.resize(groups.clicks.size());
  const auto keys = static_cast<int64_t>(groups.begin.size()) - 1;
  parallel_for(0, keys, 64, [&](int64_t from, int64_t to) {
    for (auto key = static_cast<size_t>(from); key < static_cast<size_t>(to); ++key) {
      int32_t reads = 0;
      double sum = 0;
      for (auto at = static_cast<size_t>(groups.begin[key]);
           at < static_cast<size_t>(groups.begin[key + 1]); ++at) {
        const auto click = static_cast<size_t>(groups.clicks[at].click);
        // The clicks of a key lie anywhere: ask for those to come.
        if (at + kAhead < groups.clicks.size()) {
          const auto later = static_cast<size_t>(groups.clicks[at + kAhead].click);
          __builtin_prefetch(&seconds[later]);
          __builtin_prefetch(&is_read[later]);
        }
        reads += is_read[click];
        const float known = seconds[click];
        sum += std::isnan(known) ? 0.0 : std::log1p(static_cast<double>(known));
        sums.reads[at] = reads;
        sums.log_seconds[at] = sum;
      }
    }
  });
}

}  // namespace

void write_by_time(const fs::path& folder) {
  const Columns columns(folder);
  ColumnWriter<int64_t> click(folder, "by_time.click"), time(folder, "by_time.time");
  for_clicks_by_time(columns.get<int64_t>("clicks.time"), [&](std::span<const TimedClick> clicks) {
    for (const TimedClick& at : clicks) {
      click.push(at.click);
      time.push(at.time);
    }
  });
  click.close();
  time.close();
}

void write_timeline(const fs::path& folder, const std::string& key, int64_t keys,
                    const KeysOfClicks& keys_of) {
  const std::string stem = "timeline." + key;
  const Columns columns(folder);
  const auto time = columns.get<int64_t>("clicks.time");
  const auto seconds = columns.get<float>("clicks.seconds");
  const auto is_read = columns.get<uint8_t>("clicks.read");
  ColumnWriter<int64_t> times(folder, stem + ".time"), begins(folder, stem + ".begin");
  ColumnWriter<int32_t> reads(folder, stem + ".reads");
  ColumnWriter<double> log_seconds(folder, stem + ".log_seconds");
  begins.push(0);
  Sums sums;
  for_click_groups(time, keys, keys_of, [&](const ClickGroups& groups) {
    sum_groups(groups, seconds, is_read, sums);
    const int64_t before = times.size();
    for (size_t k = 1; k < groups.begin.size(); ++k) begins.push(before + groups.begin[k]);
    for (size_t at = 0; at < groups.clicks.size(); ++at) {
      times.push(groups.clicks[at].time);
      reads.push(sums.reads[at]);
      log_seconds.push(sums.log_seconds[at]);
    }
  });
  times.close();
  begins.close();
  reads.close();
  log_seconds.close();
}

}  // namespace retort
