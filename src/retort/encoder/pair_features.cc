#include "retort/encoder/pair_features.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "retort/common/error.h"

namespace retort {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

struct Event {
  std::optional<int32_t> item;
  std::string_view id;  // where the item is not the bundle's
  int64_t time;
  double seconds;
};

class PairSide {
 public:
  PairSide(const Bundle& bundle, std::optional<int32_t> user, std::span<const UserEvent> events,
           int64_t now)
      : bundle_(bundle), teacher_(*bundle.teacher()), user_(user), events_(events), now_(now) {}

  /// As the dataset counts it (FeatureSource::kCross), before the transform.
  double value(const FeatureSpec& feature, const PairItem& item) {
    const auto own = ids_of(feature.of, item);
    if (feature.of != "item" && std::ranges::all_of(own, [](int32_t id) { return id == 0; }))
      return kMissing;
    double count = 0, seconds = 0;
    const std::vector<Event>& past = newest_first(feature.stream);
    const size_t last =
        events_of(feature) == 0 ? past.size() : std::min(past.size(), size_t(events_of(feature)));
    for (size_t at = 0; at < last; ++at) {
      if (!together(feature.of, own, item, past[at])) continue;
      if (feature.statistic == "age") return static_cast<double>(now_ - past[at].time) / 1e6;
      count += 1;
      seconds += std::isnan(past[at].seconds) ? 0 : past[at].seconds;
    }
    if (feature.statistic == "age") return kMissing;
    return feature.statistic == "seconds" ? seconds : count;
  }

 private:
  std::span<const int32_t> ids_of(const std::string& of, const PairItem& item) const {
    if (of == "item") return {};
    if (item.item) return teacher_.item_ids(of, *item.item);
    const Schema& schema = bundle_.schema();
    const std::vector<int> sparse = schema.sparse_of(Side::kItem);
    for (size_t i = 0; i < sparse.size(); ++i)
      if (schema.features[static_cast<size_t>(sparse[i])].name == of && item.features != nullptr)
        return item.features->sparse[i].ids;
    return {};
  }

  bool together(const std::string& of, std::span<const int32_t> own, const PairItem& item,
                const Event& event) const {
    if (of == "item") return event.item ? event.item == item.item : event.id == item.id;
    if (!event.item) return false;
    const auto other = teacher_.item_ids(of, *event.item);
    return std::ranges::any_of(
        own, [&](int32_t id) { return id != 0 && std::ranges::find(other, id) != other.end(); });
  }

  const std::vector<Event>& newest_first(const std::string& stream) {
    const auto [at, added] = past_.try_emplace(stream);
    std::vector<Event>& all = at->second;
    if (!added) return all;
    for (const UserEvent& event : events_)
      if (event.stream == stream && (!stream.empty() || event.clicked) &&
          (!user_ || event.time >= bundle_.moment()) && event.time < now_)
        all.push_back({bundle_.find_item(event.item), event.item, event.time, event.seconds});
    std::ranges::stable_sort(all, std::greater<>(), &Event::time);
    if (!user_) return all;
    const UserPast known = teacher_.past(stream, *user_);
    for (size_t i = known.items.size(); i-- > 0;)
      all.push_back({known.items[i], {}, known.times[i], known.seconds[i]});
    return all;
  }

  const Bundle& bundle_;
  const BundleTeacher& teacher_;
  std::optional<int32_t> user_;
  std::span<const UserEvent> events_;
  int64_t now_;
  std::map<std::string, std::vector<Event>> past_;  // by stream
};

}  // namespace

SideBatch pair_features_of(const Bundle& bundle, std::optional<int32_t> user,
                           std::span<const UserEvent> events, std::span<const PairItem> items,
                           int64_t now) {
  check(bundle.teacher() != nullptr, "pair features: the bundle has no ranking model");
  const RankerSpec& spec = bundle.teacher()->spec();
  const Schema& schema = bundle.schema();
  PairSide side(bundle, user, events, now);
  SideBatch batch;
  batch.rows = std::ssize(items);
  for (const int index : schema.sparse_of(Side::kPair)) {
    const FeatureSpec& feature = schema.features[static_cast<size_t>(index)];
    const bool seen = std::ranges::find(spec.pair.fields, feature.name, &FieldSpec::feature) !=
                      spec.pair.fields.end();
    SparseColumn column{{}, {0}};
    for (const PairItem& item : items) {
      column.ids.push_back(seen ? feature.transform.bucket(side.value(feature, item)) : 0);
      column.offsets.push_back(static_cast<int32_t>(column.ids.size()));
    }
    batch.sparse.push_back(std::move(column));
  }
  if (spec.pair.dense_width == 0) return batch;
  for (const PairItem& item : items)
    for (const int index : schema.dense_of(Side::kPair)) {
      const FeatureSpec& feature = schema.features[static_cast<size_t>(index)];
      batch.dense.push_back(static_cast<float>(feature.transform(side.value(feature, item))));
    }
  return batch;
}

}  // namespace retort
