#include <limits>

#include "retort/common/error.h"
#include "retort/dataset/feature_source.h"
#include "retort/log/days.h"

namespace retort {
namespace {

constexpr int64_t kHour = kDay / 24;
constexpr int64_t kNever = std::numeric_limits<int64_t>::min();

/// Days since 1970-01-01, rounded down before it too.
int64_t day_of(int64_t time) { return time / kDay - (time % kDay < 0 ? 1 : 0); }

class TimePart : public IdSource {
 public:
  TimePart(bool has_time, bool hour) : has_time_(has_time), hour_(hour) {}
  void append(const FeatureRow& row, std::vector<int32_t>& ids) const override {
    ids.push_back(has_time_ ? part(row.time) : 0);
  }

 private:
  int32_t part(int64_t time) const {
    const int64_t day = day_of(time);
    if (hour_) return 1 + static_cast<int32_t>((time - day * kDay) / kHour);
    return 1 + static_cast<int32_t>(((day + 3) % 7 + 7) % 7);  // 1970-01-01 was a Thursday
  }
  bool has_time_, hour_;
};

class ItemAge : public NumberSource {
 public:
  explicit ItemAge(const Dataset& dataset)
      : has_time_(dataset.has_time()),
        first_click_(dataset.columns().get<int64_t>("items.first_click")) {
    if (dataset.columns().has("items.published"))
      published_ = dataset.columns().get<int64_t>("items.published");
    const auto items = static_cast<size_t>(dataset.items());
    if (first_click_.size() != items || (!published_.empty() && published_.size() != items))
      fail<DataError>("{}: items.first_click or items.published has not {} values",
                      dataset.folder().string(), items);
  }
  double value(const FeatureRow& row, int32_t) const override {
    const auto item = static_cast<size_t>(row.item);
    if (has_time_ && !published_.empty() && published_[item] != kNever &&
        published_[item] < row.time)
      return static_cast<double>(row.time - published_[item]) / 1e6;
    if (has_time_ && first_click_[item] < row.time)
      return static_cast<double>(row.time - first_click_[item]) / 1e6;
    return std::numeric_limits<double>::quiet_NaN();
  }

 private:
  bool has_time_;
  std::span<const int64_t> published_, first_click_;
};

}  // namespace

std::unique_ptr<IdSource> make_time_part(const Dataset& dataset, const FeatureSpec& spec) {
  return std::make_unique<TimePart>(dataset.has_time(), spec.part == "hour");
}

std::unique_ptr<NumberSource> make_item_age(const Dataset& dataset) {
  return std::make_unique<ItemAge>(dataset);
}

}  // namespace retort
