#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "retort/dataset/feature_source.h"

namespace retort {
namespace {

constexpr int64_t kCrossClicks = 200;
constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

/// A user's events before a moment: positions [begin, end) of the log.
struct Past {
  int64_t begin, end;
};

/// The clicks or a stream, in the order (user, time).
struct UserEvents {
  std::span<const int32_t> item;
  std::span<const int64_t> time, user_begin;
  std::span<const float> seconds;  // empty: unknown
  bool has_time;

  UserEvents(const Dataset& dataset, const std::string& stream) : has_time(dataset.has_time()) {
    if (stream.empty()) {
      const Clicks& clicks = dataset.clicks();
      item = clicks.item;
      time = clicks.time;
      user_begin = clicks.user_begin;
      seconds = clicks.seconds;
      return;
    }
    const Stream& events = dataset.stream(stream);
    item = events.item;
    time = events.time;
    user_begin = events.user_begin;
    seconds = events.seconds;
  }
  /// The last so many (0 = all) strictly before the row's moment.
  Past before(const FeatureRow& row, int64_t last) const {
    const auto user = static_cast<size_t>(row.user);
    Past past{user_begin[user], user_begin[user]};
    if (!has_time) return past;
    past.end =
        std::lower_bound(time.begin() + past.begin, time.begin() + user_begin[user + 1], row.time) -
        time.begin();
    if (last > 0) past.begin = std::max(past.begin, past.end - last);
    return past;
  }
  double seconds_at(int64_t at) const {
    return seconds.empty() ? kMissing : static_cast<double>(seconds[static_cast<size_t>(at)]);
  }
  double age_at(int64_t at, int64_t moment) const {
    return static_cast<double>(moment - time[static_cast<size_t>(at)]) / 1e6;
  }
};

class HistoryIds : public IdSource {
 public:
  HistoryIds(const Dataset& dataset, const FeatureSpec& spec)
      : events_(dataset, spec.stream), last_(spec.last), ids_(item_ids(dataset, spec.of)) {}
  void append(const FeatureRow& row, std::vector<int32_t>& ids) const override {
    const Past past = events_.before(row, last_);
    for (int64_t at = past.end - 1; at >= past.begin; --at)
      ids.push_back(ids_[static_cast<size_t>(events_.item[static_cast<size_t>(at)])]);
  }

 private:
  UserEvents events_;
  int64_t last_;
  std::span<const int32_t> ids_;
};

class HistorySeconds : public IdSource {
 public:
  HistorySeconds(const Dataset& dataset, const FeatureSpec& spec)
      : events_(dataset, spec.stream), spec_(spec) {}
  void append(const FeatureRow& row, std::vector<int32_t>& ids) const override {
    const Past past = events_.before(row, spec_.last);
    for (int64_t at = past.end - 1; at >= past.begin; --at)
      ids.push_back(spec_.side_bucket(events_.seconds_at(at)));
  }

 private:
  UserEvents events_;
  const FeatureSpec& spec_;
};

class HistoryAge : public IdSource {
 public:
  HistoryAge(const Dataset& dataset, const FeatureSpec& spec)
      : events_(dataset, spec.stream), spec_(spec) {}
  void append(const FeatureRow& row, std::vector<int32_t>& ids) const override {
    const Past past = events_.before(row, spec_.last);
    for (int64_t at = past.end - 1; at >= past.begin; --at)
      ids.push_back(spec_.side_bucket(events_.age_at(at, row.time)));
  }

 private:
  UserEvents events_;
  const FeatureSpec& spec_;
};

/// An item of the past with what all its events before the moment add up to.
struct PastItem {
  int32_t item;
  int32_t count = 0;
  int64_t latest;             // position of its latest event
  double seconds = kMissing;  // sum of the known ones
};

/// Each item of the past once, by its latest event; a sequence of its ids or of one side
/// information.
class DistinctHistory : public IdSource {
 public:
  DistinctHistory(const Dataset& dataset, const FeatureSpec& spec)
      : events_(dataset, spec.stream), spec_(spec), items_(static_cast<size_t>(dataset.items())) {
    if (spec.with.empty()) ids_ = item_ids(dataset, spec.of);
  }
  void append(const FeatureRow& row, std::vector<int32_t>& ids) const override {
    for (const PastItem& item : items_before(row)) ids.push_back(id_of(item, row.time));
  }

 private:
  int32_t id_of(const PastItem& item, int64_t moment) const {
    if (spec_.with.empty()) return ids_[static_cast<size_t>(item.item)];
    if (spec_.with == "count") return spec_.side_bucket(item.count);
    if (spec_.with == "age") return spec_.side_bucket(events_.age_at(item.latest, moment));
    return spec_.side_bucket(item.seconds);
  }

  /// The last `spec.last` different items, newest first. The sums go through the user's whole past,
  /// so that an item's place in it is kept: place[item] is 1 + its place in `found`, 0 = not there.
  std::vector<PastItem>& items_before(const FeatureRow& row) const {
    thread_local std::vector<PastItem> found;
    thread_local std::vector<int32_t> place;
    found.clear();
    if (place.size() < items_) place.resize(items_, 0);
    const Past past = events_.before(row, 0);
    const bool sums = spec_.with == "count" || spec_.with == "seconds";
    for (int64_t at = past.end - 1; at >= past.begin; --at) {
      const int32_t item = events_.item[static_cast<size_t>(at)];
      int32_t& its_place = place[static_cast<size_t>(item)];
      if (its_place == 0) {
        if (std::ssize(found) == spec_.last) {
          if (!sums) break;
          continue;
        }
        found.push_back({.item = item, .latest = at});
        its_place = static_cast<int32_t>(found.size());
      }
      PastItem& known = found[static_cast<size_t>(its_place) - 1];
      ++known.count;
      if (const double seconds = events_.seconds_at(at); !std::isnan(seconds))
        known.seconds = std::isnan(known.seconds) ? seconds : known.seconds + seconds;
    }
    for (const PastItem& item : found) place[static_cast<size_t>(item.item)] = 0;
    return found;
  }

  UserEvents events_;
  const FeatureSpec& spec_;
  size_t items_;
  std::span<const int32_t> ids_;
};

/// The ids of an item that `of` compares: the item itself, one id, or those of a bag. 0 is no id.
class ItemKeys {
 public:
  ItemKeys(const Dataset& dataset, const std::string& of) : itself_(of == "item") {
    if (itself_) return;
    const FeatureSpec* spec = dataset.schema().find(of);
    if (spec != nullptr && spec->kind == FeatureKind::kBag)
      bag_ = item_bag(dataset, of);
    else
      ids_ = item_ids(dataset, of);
  }
  bool none(int32_t item) const {
    if (itself_) return false;
    const auto ids = of(item);
    return std::all_of(ids.begin(), ids.end(), [](int32_t id) { return id == 0; });
  }
  bool share(int32_t a, int32_t b) const {
    if (itself_) return a == b;
    const auto other = of(b);
    for (const int32_t id : of(a))
      if (id != 0 && std::find(other.begin(), other.end(), id) != other.end()) return true;
    return false;
  }

 private:
  std::span<const int32_t> of(int32_t item) const {
    const auto at = static_cast<size_t>(item);
    if (!ids_.empty()) return ids_.subspan(at, 1);
    const auto begin = static_cast<size_t>(bag_.offsets[at]);
    return bag_.ids.subspan(begin, static_cast<size_t>(bag_.offsets[at + 1]) - begin);
  }
  bool itself_;
  std::span<const int32_t> ids_;
  ItemBag bag_;
};

class Cross : public NumberSource {
 public:
  Cross(const Dataset& dataset, const FeatureSpec& spec)
      : events_(dataset, spec.stream),
        keys_(dataset, spec.of),
        last_(spec.last > 0 || !spec.stream.empty() ? spec.last : kCrossClicks),
        age_(spec.statistic == "age"),
        seconds_(spec.statistic == "seconds") {}
  double value(const FeatureRow& row, int32_t) const override {
    if (keys_.none(row.item)) return kMissing;
    const Past past = events_.before(row, last_);
    double count = 0, seconds = 0;
    for (int64_t at = past.end - 1; at >= past.begin; --at) {
      if (!keys_.share(row.item, events_.item[static_cast<size_t>(at)])) continue;
      if (age_) return events_.age_at(at, row.time);
      count += 1;
      const double known = events_.seconds_at(at);
      seconds += std::isnan(known) ? 0 : known;
    }
    if (age_) return kMissing;
    return seconds_ ? seconds : count;
  }

 private:
  UserEvents events_;
  ItemKeys keys_;
  int64_t last_;
  bool age_, seconds_;
};

}  // namespace

std::unique_ptr<IdSource> make_history(const Dataset& dataset, const FeatureSpec& spec) {
  if (spec.distinct) return std::make_unique<DistinctHistory>(dataset, spec);
  if (spec.with == "seconds") return std::make_unique<HistorySeconds>(dataset, spec);
  if (spec.with == "age") return std::make_unique<HistoryAge>(dataset, spec);
  return std::make_unique<HistoryIds>(dataset, spec);
}

std::unique_ptr<NumberSource> make_cross(const Dataset& dataset, const FeatureSpec& spec) {
  return std::make_unique<Cross>(dataset, spec);
}

}  // namespace retort
