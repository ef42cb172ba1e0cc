#include "retort/encoder/user_events.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "retort/common/error.h"
#include "retort/encoder/feature_reader.h"
#include "retort/encoder/item_features.h"

namespace retort {
namespace {

constexpr int64_t kAlways = std::numeric_limits<int64_t>::min();
constexpr int64_t kHour = 3'600'000'000, kDay = 24 * kHour;

/// As the dataset counts them: 1 + hour of the day (UTC), 1 + day of the week from Monday.
int32_t time_part(const std::string& part, int64_t time) {
  const int64_t day = time / kDay - (time % kDay < 0 ? 1 : 0);
  if (part == "hour") return 1 + static_cast<int32_t>((time - day * kDay) / kHour);
  return 1 + static_cast<int32_t>(((day + 3) % 7 + 7) % 7);  // 1970-01-01 was a Thursday
}

/// An item of new events, with what those add up to.
struct NewStep {
  const UserEvent* latest;
  int32_t count = 0;
  double seconds = std::numeric_limits<double>::quiet_NaN();
};

class UserNow {
 public:
  UserNow(const Bundle& bundle, std::string_view user, int64_t now, const ItemLookup& others)
      : bundle_(bundle),
        schema_(bundle.schema()),
        sparse_(schema_.sparse_of(Side::kUser)),
        now_(now),
        others_(others) {
    if (const auto row = bundle.find_user(user)) {
      known_ = true;
      user_.features = bundle.user_features(std::span(&*row, 1));
      const auto seen = bundle.seen_items(*row);
      user_.seen.assign(seen.begin(), seen.end());
    } else {
      user_ = raw_user(bundle, Json::object());
      for (size_t i = 0; i < sparse_.size(); ++i)
        if (spec(i).source == FeatureSource::kAttribute && spec(i).column == "user")
          ids(i) = FeatureReader(bundle, spec(i)).ids(std::string(user));
    }
  }

  void overlay_stored(const Json& stored) {
    if (stored.is_null()) return;
    if (!stored.is_object()) fail<DataError>("features: no JSON object");
    int64_t moment = bundle_.moment();
    if (const auto said = stored.find("moment"); said != stored.end() && !said->is_null()) {
      moment = moment_of(*said, "moment");
      if (known_ && moment < bundle_.moment()) return;
    }
    overlay(stored, moment);
  }

  void overlay_given(const Json& given) {
    if (given.is_null()) return;
    check_user_features(schema_, given);
    for (size_t i = 0; i < sparse_.size(); ++i) {
      const Json* part =
          spec(i).source == FeatureSource::kTime ? value_of(given, spec(i)) : nullptr;
      if (part == nullptr) continue;
      ids(i) = FeatureReader(bundle_, spec(i)).ids(*part);
      time_given_.insert(i);
    }
    overlay(given, now_);
  }

  RawUser finish(std::span<const UserEvent> events) {
    align_sequences(bundle_.spec().user, user_.features);
    let_time_pass();
    std::vector<const UserEvent*> newest;
    for (const UserEvent& event : events) newest.push_back(&event);
    std::stable_sort(newest.begin(), newest.end(),
                     [](const UserEvent* a, const UserEvent* b) { return a->time > b->time; });
    const SideBatch before = user_.features;
    for (size_t i = 0; i < sparse_.size(); ++i)
      if (is_sequence(i)) prepend(i, newest, before);
    for (const UserEvent* event : newest)
      if (event->stream.empty() ? event->clicked : bundle_.counts_as_seen(event->stream))
        add_seen(bundle_, event->item, user_);
    sort_seen(user_);
    for (SparseColumn& column : user_.features.sparse)
      column.offsets = {0, static_cast<int32_t>(column.ids.size())};
    return std::move(user_);
  }

 private:
  const FeatureSpec& spec(size_t i) const {
    return schema_.features[static_cast<size_t>(sparse_[i])];
  }
  std::vector<int32_t>& ids(size_t i) { return user_.features.sparse[i].ids; }
  bool is_sequence(size_t i) const { return spec(i).kind == FeatureKind::kSequence; }

  static const Json* value_of(const Json& features, const FeatureSpec& spec) {
    const auto found = features.find(spec.name);
    return found == features.end() || found->is_null() ? nullptr : &*found;
  }

  /// Features as of the moment over what is known.
  void overlay(const Json& features, int64_t moment) {
    std::set<std::string> streams;  // whose sequences come from here
    for (size_t i = 0; i < sparse_.size(); ++i)
      if (is_sequence(i) && value_of(features, spec(i)) != nullptr) streams.insert(spec(i).stream);
    for (const std::string& stream : streams) since_[stream] = moment;
    for (size_t i = 0; i < sparse_.size(); ++i) {
      const Json* value = value_of(features, spec(i));
      if (is_sequence(i) && streams.contains(spec(i).stream))
        overlay_sequence(i, value, moment);
      else if (!is_sequence(i) && value != nullptr && spec(i).source != FeatureSource::kTime)
        ids(i) = FeatureReader(bundle_, spec(i)).ids(*value);
      user_.features.sparse[i].offsets = {0, static_cast<int32_t>(ids(i).size())};
    }
    overlay_dense(features);
  }

  void overlay_sequence(size_t i, const Json* value, int64_t moment) {
    ids(i).clear();
    if (value == nullptr) return;
    const FeatureReader reader(bundle_, spec(i));
    ids(i) = reader.ids(older(*value, spec(i), moment));
    if (lists_item_keys(schema_, spec(i)) && bundle_.counts_as_seen(spec(i).stream))
      for (const std::string& key : reader.texts(*value)) add_seen(bundle_, key, user_);
  }

  void overlay_dense(const Json& features) {
    auto at = user_.features.dense.begin();
    for (const int index : schema_.dense_of(Side::kUser)) {
      const FeatureSpec& spec = schema_.features[static_cast<size_t>(index)];
      if (const Json* value = value_of(features, spec)) {
        const std::vector<float> values = FeatureReader(bundle_, spec).dense(*value);
        std::copy(values.begin(), values.end(), at);
      }
      at += spec.width;
    }
  }

  /// Ages as of now, of a sequence that had them at the moment.
  Json older(const Json& value, const FeatureSpec& spec, int64_t moment) const {
    if (spec.with != "age" || !value.is_array()) return value;
    Json ages = value;
    for (Json& age : ages)
      if (age.is_number()) age = age.get<double>() + passed(moment);
    return ages;
  }

  double passed(int64_t moment) const {
    return std::max(0.0, (static_cast<double>(now_) - static_cast<double>(moment)) / 1e6);
  }

  void let_time_pass() {
    for (size_t i = 0; i < sparse_.size(); ++i) {
      const FeatureSpec& feature = spec(i);
      const bool has_time = bundle_.moment() > 1;  // the log had
      if (feature.source == FeatureSource::kTime && has_time && !time_given_.contains(i))
        ids(i) = {time_part(feature.part, now_)};
      if (!is_sequence(i) || feature.with != "age" || since_.contains(feature.stream)) continue;
      for (int32_t& age : ids(i))
        if (age > 0)
          age = feature.side_bucket(middle_of_side_bucket(age) + passed(bundle_.moment()));
    }
  }

  /// The feature's new events, newest first.
  std::vector<NewStep> new_steps(const FeatureSpec& spec,
                                 std::span<const UserEvent* const> newest) const {
    const auto own = since_.find(spec.stream);
    const int64_t since = own != since_.end() ? own->second : known_ ? bundle_.moment() : kAlways;
    std::vector<NewStep> steps;
    for (const UserEvent* event : newest) {
      if (event->stream != spec.stream || event->time < since) continue;
      if (event->stream.empty() && !event->clicked) continue;
      auto at = steps.end();
      if (spec.distinct)
        at = std::find_if(steps.begin(), steps.end(),
                          [&](const NewStep& step) { return step.latest->item == event->item; });
      NewStep& step = at == steps.end() ? steps.emplace_back(NewStep{event}) : *at;
      ++step.count;
      if (!std::isnan(event->seconds))
        step.seconds = std::isnan(step.seconds) ? event->seconds : step.seconds + event->seconds;
    }
    return steps;
  }

  /// The ids that the sequence `i`, or the one of item keys beside it, held: by them a distinct
  /// sequence knows its items. Empty where nothing tells.
  const std::vector<int32_t>& item_keys_beside(size_t i, const SideBatch& before) const {
    static const std::vector<int32_t> none;
    for (size_t j = 0; j < sparse_.size(); ++j)
      if (lists_item_keys(schema_, spec(j)) && spec(j).stream == spec(i).stream &&
          spec(j).last == spec(i).last && spec(j).distinct == spec(i).distinct)
        return before.sparse[j].ids;
    return none;
  }

  void prepend(size_t i, std::span<const UserEvent* const> newest, const SideBatch& before) {
    const FeatureSpec& feature = spec(i);
    std::vector<NewStep> steps = new_steps(feature, newest);
    if (steps.empty()) return;
    std::vector<int32_t> old = before.sparse[i].ids;
    std::vector<bool> moved(old.size(), false);
    if (feature.distinct) {
      const std::vector<int32_t>& keys = item_keys_beside(i, before);
      for (NewStep& step : steps) {
        const int32_t key = key_row(feature, *step.latest);
        for (size_t at = 0; at < std::min(keys.size(), old.size()); ++at) {
          if (key == 0 || keys[at] != key || moved[at]) continue;
          moved[at] = true;
          add_earlier(feature, old[at], step);
        }
      }
    }
    std::vector<int32_t>& ids_now = ids(i);
    ids_now.clear();
    for (const NewStep& step : steps) ids_now.push_back(id_of(feature, step));
    for (size_t at = 0; at < old.size(); ++at)
      if (!moved[at]) ids_now.push_back(old[at]);
    if (std::ssize(ids_now) > feature.last) ids_now.resize(static_cast<size_t>(feature.last));
  }

  /// What the sequence held of the item, by the bucket of it.
  static void add_earlier(const FeatureSpec& feature, int32_t bucket, NewStep& step) {
    if (bucket == 0) return;
    if (feature.with == "count") step.count += static_cast<int32_t>(middle_of_side_bucket(bucket));
    if (feature.with == "seconds")
      step.seconds = middle_of_side_bucket(bucket) + (std::isnan(step.seconds) ? 0 : step.seconds);
  }

  int32_t id_of(const FeatureSpec& feature, const NewStep& step) const {
    if (feature.with == "seconds") return feature.side_bucket(step.seconds);
    if (feature.with == "count") return feature.side_bucket(step.count);
    if (feature.with == "age") return feature.side_bucket(passed(step.latest->time));
    const FeatureSpec* of = schema_.find(feature.of);
    if (of == nullptr || feature.vocabulary.empty()) return 0;
    const Vocabulary& vocabulary = bundle_.vocabulary(feature.vocabulary);
    if (of->column == "item") return vocabulary.find(step.latest->item);
    const std::string text = attribute_of(*of, step.latest->item);
    return text.empty() ? 0 : vocabulary.find(text);
  }

  /// The row of the event's item among those of the sequence of item keys beside this one.
  int32_t key_row(const FeatureSpec& feature, const UserEvent& event) const {
    for (size_t j = 0; j < sparse_.size(); ++j)
      if (lists_item_keys(schema_, spec(j)) && spec(j).stream == feature.stream &&
          spec(j).last == feature.last && spec(j).distinct == feature.distinct)
        return bundle_.vocabulary(spec(j).vocabulary).find(event.item);
    return 0;
  }

  /// The text of a feature of an item that the bundle does not hold; "" where it is not known.
  std::string text_of_other(const FeatureSpec& of, const std::string& item) const {
    const Json features = others_ ? others_(item) : Json();
    if (!features.is_object()) return "";
    for (const std::string& name : {of.name, of.column})
      if (const auto value = features.find(name); value != features.end()) {
        if (value->is_string()) return value->get<std::string>();
        if (value->is_number_integer()) return value->dump();
      }
    return "";
  }

  /// The text of an item's feature among the bundle's attributes, "" where it does not know it.
  std::string attribute_of(const FeatureSpec& of, const std::string& item) const {
    const auto row = bundle_.find_item(item);
    if (!row) return text_of_other(of, item);
    const auto& columns = bundle_.attributes().columns();
    auto found = columns.find(of.column);
    if (found == columns.end()) found = columns.find(of.name);
    if (found == columns.end()) return "";
    const auto at = static_cast<size_t>(*row);
    if (const auto* text = std::get_if<TextAttribute>(&found->second)) {
      const auto begin = static_cast<size_t>(text->offsets[at]);
      if (text->offsets[at + 1] == text->offsets[at]) return "";
      return std::string(text->values[text->codes[begin]]);
    }
    const double number = std::get<NumberAttribute>(found->second).values[at];
    if (std::isnan(number)) return "";
    return number == std::trunc(number) && std::abs(number) < 1e15
               ? fmt::format("{}", static_cast<int64_t>(number))
               : fmt::format("{}", number);
  }

  const Bundle& bundle_;
  const Schema& schema_;
  std::vector<int> sparse_;
  int64_t now_;
  const ItemLookup& others_;
  bool known_ = false;
  std::map<std::string, int64_t>
      since_;                    // streams whose sequences are not the bundle's: as of when
  std::set<size_t> time_given_;  // parts of the time that were given
  RawUser user_;
};

}  // namespace

double middle_of_side_bucket(int32_t bucket) { return 1.5 * std::ldexp(1.0, bucket - 1) - 1.0; }

RawUser user_after(const Bundle& bundle, std::string_view user, const Json& stored,
                   std::span<const UserEvent> events, int64_t now, const ItemLookup& others,
                   const Json& given) {
  UserNow known(bundle, user, now, others);
  known.overlay_stored(stored);
  known.overlay_given(given);
  return known.finish(events);
}

}  // namespace retort
