#include <algorithm>
#include <cmath>
#include <limits>

#include "retort/dataset/feature_source.h"

namespace retort {
namespace {

constexpr int64_t kCrossClicks = 200;

/// The user's last clicks strictly before a moment: positions [begin, end) in Clicks.
struct Past {
  int64_t begin, end;
  Past(const Dataset& dataset, const FeatureRow& row, int64_t last) {
    begin = dataset.clicks().user_begin[static_cast<size_t>(row.user)];
    end = dataset.has_time() ? dataset.history_end(row.user, row.time) : begin;
    begin = std::max(begin, end - last);
  }
};

class HistoryIds : public IdSource {
 public:
  HistoryIds(const Dataset& dataset, const FeatureSpec& spec)
      : dataset_(dataset), last_(spec.last), ids_(item_ids(dataset, spec.of)) {}
  void append(const FeatureRow& row, std::vector<int32_t>& ids) const override {
    const Past past(dataset_, row, last_);
    for (int64_t at = past.end - 1; at >= past.begin; --at)
      ids.push_back(ids_[static_cast<size_t>(dataset_.clicks().item[static_cast<size_t>(at)])]);
  }

 private:
  const Dataset& dataset_;
  int64_t last_;
  std::span<const int32_t> ids_;
};

class HistorySeconds : public IdSource {
 public:
  HistorySeconds(const Dataset& dataset, const FeatureSpec& spec)
      : dataset_(dataset), spec_(spec) {}
  void append(const FeatureRow& row, std::vector<int32_t>& ids) const override {
    const Past past(dataset_, row, spec_.last);
    for (int64_t at = past.end - 1; at >= past.begin; --at) {
      const float seconds = dataset_.clicks().seconds[static_cast<size_t>(at)];
      ids.push_back(spec_.side_bucket(seconds));
    }
  }

 private:
  const Dataset& dataset_;
  const FeatureSpec& spec_;
};

class HistoryAge : public IdSource {
 public:
  HistoryAge(const Dataset& dataset, const FeatureSpec& spec) : dataset_(dataset), spec_(spec) {}
  void append(const FeatureRow& row, std::vector<int32_t>& ids) const override {
    const Past past(dataset_, row, spec_.last);
    for (int64_t at = past.end - 1; at >= past.begin; --at) {
      const int64_t passed = row.time - dataset_.clicks().time[static_cast<size_t>(at)];
      ids.push_back(spec_.side_bucket(static_cast<double>(passed) / 1e6));
    }
  }

 private:
  const Dataset& dataset_;
  const FeatureSpec& spec_;
};

class Cross : public NumberSource {
 public:
  Cross(const Dataset& dataset, const FeatureSpec& spec) : dataset_(dataset) {
    if (spec.of != "item") ids_ = item_ids(dataset, spec.of);
  }
  double value(const FeatureRow& row, int32_t) const override {
    const int32_t wanted = key(row.item);
    if (!ids_.empty() && wanted == 0) return std::numeric_limits<double>::quiet_NaN();
    const Past past(dataset_, row, kCrossClicks);
    int64_t count = 0;
    for (int64_t at = past.begin; at < past.end; ++at)
      count += key(dataset_.clicks().item[static_cast<size_t>(at)]) == wanted ? 1 : 0;
    return static_cast<double>(count);
  }

 private:
  int32_t key(int32_t item) const { return ids_.empty() ? item : ids_[static_cast<size_t>(item)]; }
  const Dataset& dataset_;
  std::span<const int32_t> ids_;
};

}  // namespace

std::unique_ptr<IdSource> make_history(const Dataset& dataset, const FeatureSpec& spec) {
  if (spec.with == "seconds") return std::make_unique<HistorySeconds>(dataset, spec);
  if (spec.with == "age") return std::make_unique<HistoryAge>(dataset, spec);
  return std::make_unique<HistoryIds>(dataset, spec);
}

std::unique_ptr<NumberSource> make_cross(const Dataset& dataset, const FeatureSpec& spec) {
  return std::make_unique<Cross>(dataset, spec);
}

}  // namespace retort
