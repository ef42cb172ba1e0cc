#include <algorithm>
#include <limits>

#include "retort/common/error.h"
#include "retort/dataset/feature_source.h"

namespace retort {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

enum class Statistic { kClicks, kReads, kMeanLogSeconds, kAge };

Statistic statistic_from(const FeatureSpec& spec) {
  if (spec.statistic == "clicks") return Statistic::kClicks;
  if (spec.statistic == "reads") return Statistic::kReads;
  if (spec.statistic == "mean_log_seconds") return Statistic::kMeanLogSeconds;
  check(spec.statistic == "age", "feature '{}': statistic '{}'", spec.name, spec.statistic);
  return Statistic::kAge;
}

class AsOf : public NumberSource {
 public:
  AsOf(const Dataset& dataset, const FeatureSpec& spec)
      : statistic_(statistic_from(spec)),
        window_(spec.window),
        has_time_(dataset.has_time()),
        of_user_(spec.of == "user"),
        line_(dataset.timeline(spec.of)) {
    if (spec.of != "item" && spec.of != "user") group_ = item_ids(dataset, spec.of);
    const int64_t keys = static_cast<int64_t>(line_.begin.size()) - 1;
    const int64_t largest = !group_.empty() ? *std::max_element(group_.begin(), group_.end())
                            : of_user_      ? dataset.users() - 1
                                            : dataset.items() - 1;
    if (largest >= keys)
      fail<DataError>("{}: the timeline of '{}' has {} keys, too few for key {}",
                      dataset.folder().string(), spec.of, keys, largest);
  }

  double value(const FeatureRow& row, int32_t) const override {
    if (!has_time_) return kMissing;
    const int32_t key = key_of(row);
    if (!group_.empty() && key == 0) return kMissing;
    const auto times = line_.time.begin();
    const auto first = times + line_.begin[static_cast<size_t>(key)];
    const auto last = times + line_.begin[static_cast<size_t>(key) + 1];
    const auto end = std::lower_bound(first, last, row.time);
    if (statistic_ == Statistic::kAge)
      return end == first ? kMissing : static_cast<double>(row.time - *first) / 1e6;
    const auto begin = window_ == 0 ? first : std::lower_bound(first, end, row.time - window_);
    return statistic(first - times, begin - times, end - times);
  }

 private:
  int32_t key_of(const FeatureRow& row) const {
    if (of_user_) return row.user;
    return group_.empty() ? row.item : group_[static_cast<size_t>(row.item)];
  }

  /// Of the clicks [begin, end) of the timeline, whose key's clicks start at `first`.
  double statistic(int64_t first, int64_t begin, int64_t end) const {
    if (begin == end) return 0;
    const auto count = static_cast<double>(end - begin);
    if (statistic_ == Statistic::kClicks) return count;
    if (statistic_ == Statistic::kReads) return difference(line_.reads, first, begin, end);
    return difference(line_.log_seconds, first, begin, end) / count;
  }
  template <class T>
  static double difference(std::span<const T> running, int64_t first, int64_t begin, int64_t end) {
    const T before = begin == first ? T{0} : running[static_cast<size_t>(begin) - 1];
    return static_cast<double>(running[static_cast<size_t>(end) - 1] - before);
  }

  Statistic statistic_;
  int64_t window_;
  bool has_time_, of_user_;
  Timeline line_;
  std::span<const int32_t> group_;
};

}  // namespace

std::unique_ptr<NumberSource> make_as_of(const Dataset& dataset, const FeatureSpec& spec) {
  return std::make_unique<AsOf>(dataset, spec);
}

}  // namespace retort
