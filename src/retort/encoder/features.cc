#include "retort/encoder/features.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>

#include "retort/common/error.h"
#include "retort/common/text.h"

namespace retort {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

/// Reads the value of one feature; errors name it.
class FeatureReader {
 public:
  FeatureReader(const Bundle& bundle, const FeatureSpec& spec) : bundle_(bundle), spec_(spec) {}

  std::vector<int32_t> ids(const Json& value) const {
    if (spec_.kind == FeatureKind::kSequence) return sequence(value);
    if (spec_.kind == FeatureKind::kBag) {
      std::vector<int32_t> ids;
      for (const Json& entry : list(value)) ids.push_back(look_up(entry));
      return ids;
    }
    if (value.is_null()) return {0};
    if (spec_.transform.kind == "bucket") return {spec_.transform.bucket(number(value))};
    if (spec_.source == FeatureSource::kTime) return {time_part(value)};
    return {look_up(value)};
  }

  std::vector<float> dense(const Json& value) const {
    std::vector<double> raw(static_cast<size_t>(spec_.width), kMissing);
    if (value.is_array()) {
      if (std::ssize(value) != spec_.width)
        refuse(fmt::format("has {} values, expected {}", value.size(), spec_.width));
      for (size_t i = 0; i < raw.size(); ++i) raw[i] = number(value[i]);
    } else if (!value.is_null()) {
      if (spec_.width != 1) refuse(fmt::format("is no list of {} numbers", spec_.width));
      raw[0] = number(value);
    }
    std::vector<float> values;
    for (const double x : raw) values.push_back(static_cast<float>(spec_.transform(x)));
    return values;
  }

  /// Items of the bundle that a sequence of item keys names.
  std::vector<int32_t> items(const Json& value) const {
    std::vector<int32_t> items;
    for (const Json& entry : list(value))
      if (const auto item = bundle_.find_item(text(entry))) items.push_back(*item);
    return items;
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    fail<DataError>("features: '{}' {}", spec_.name, why);
  }

  const Json& list(const Json& value) const {
    static const Json empty = Json::array();
    if (value.is_null()) return empty;
    if (!value.is_array()) refuse(fmt::format("is {}, expected a list", value.dump()));
    return value;
  }

  double number(const Json& value) const {
    if (value.is_null()) return kMissing;
    if (!value.is_number()) refuse(fmt::format("holds {}, expected a number", value.dump()));
    return value.get<double>();
  }

  std::string text(const Json& value) const {
    if (value.is_null()) return "";
    if (value.is_string()) return value.get<std::string>();
    if (value.is_number_integer()) return value.dump();
    refuse(fmt::format("holds {}, expected a text", value.dump()));
  }

  int32_t look_up(const Json& value) const {
    const std::string key = text(value);
    if (key.empty() || spec_.vocabulary.empty()) return 0;
    return bundle_.vocabulary(spec_.vocabulary).find(key);
  }

  int32_t time_part(const Json& value) const {
    const bool hour = spec_.part == "hour";
    const int32_t last = hour ? 23 : 6;
    if (!value.is_number_integer() || value.get<double>() < 0 || value.get<double>() > last)
      refuse(fmt::format("is {}, expected {} 0 to {}", value.dump(),
                         hour ? "an hour from" : "a day of the week from Monday =", last));
    return 1 + value.get<int32_t>();
  }

  std::vector<int32_t> sequence(const Json& value) const {
    std::vector<int32_t> ids;
    for (const Json& entry : list(value)) {
      if (std::ssize(ids) == spec_.last) break;
      ids.push_back(spec_.with.empty() ? look_up(entry) : spec_.side_bucket(number(entry)));
    }
    return ids;
  }

  const Bundle& bundle_;
  const FeatureSpec& spec_;
};

void check_names(const Schema& schema, const Json& features) {
  std::vector<std::string> names;
  for (const FeatureSpec& spec : schema.features)
    if (spec.side == Side::kUser) names.push_back(spec.name);
  for (const auto& [name, value] : features.items()) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    const std::string near = nearest_name(name, names);
    fail<DataError>("features: '{}' is no user feature of the model{}", name,
                    near.empty() ? fmt::format("; there are: {}", fmt::join(names, ", "))
                                 : "; did you mean '" + near + "'?");
  }
}

/// A side sequence stands beside the sequence of the same `stream`, `of`, `last` and `distinct`.
void check_lengths(const Schema& schema, const Json& features) {
  std::map<std::tuple<std::string, std::string, int32_t, bool>, std::pair<std::string, size_t>>
      lengths;
  for (const FeatureSpec& spec : schema.features) {
    const auto value = features.find(spec.name);
    if (spec.side != Side::kUser || spec.kind != FeatureKind::kSequence ||
        value == features.end() || !value->is_array())
      continue;
    const auto [at, added] = lengths.try_emplace({spec.stream, spec.of, spec.last, spec.distinct},
                                                 spec.name, value->size());
    if (!added && at->second.second != value->size())
      fail<DataError>("features: '{}' has {} values, '{}' beside it has {}", spec.name,
                      value->size(), at->second.first, at->second.second);
  }
}

bool lists_item_keys(const Schema& schema, const FeatureSpec& spec) {
  const FeatureSpec* of = schema.find(spec.of);
  return spec.kind == FeatureKind::kSequence && spec.with.empty() && of != nullptr &&
         of->column == "item";
}

/// The fields of a model's sequence stand step by step beside each other: one that is absent is
/// missing (row 0) at every step.
void align_sequences(const TowerSpec& tower, SideBatch& user) {
  for (const SequenceSpec& sequence : tower.sequences) {
    const auto ids_of = [&](size_t field) -> std::vector<int32_t>& {
      return user.sparse[static_cast<size_t>(sequence.sparse_index[field])].ids;
    };
    size_t longest = 0;
    for (size_t i = 1; i < sequence.fields.size(); ++i)
      if (ids_of(i).size() > ids_of(longest).size()) longest = i;
    const size_t steps = ids_of(longest).size();
    for (size_t i = 0; i < sequence.fields.size(); ++i) {
      std::vector<int32_t>& ids = ids_of(i);
      if (!ids.empty() && ids.size() != steps)
        fail<DataError>("features: '{}' has {} values, '{}' beside it has {}",
                        sequence.fields[i].feature, ids.size(), sequence.fields[longest].feature,
                        steps);
      ids.resize(steps, 0);
      user.sparse[static_cast<size_t>(sequence.sparse_index[i])].offsets.back() =
          static_cast<int32_t>(steps);
    }
  }
}

}  // namespace

RawUser raw_user(const Bundle& bundle, const Json& features) {
  if (!features.is_object()) fail<DataError>("features: no JSON object");
  const Schema& schema = bundle.schema();
  check_names(schema, features);
  check_lengths(schema, features);
  const auto value_of = [&](const FeatureSpec& spec) {
    const auto found = features.find(spec.name);
    return found == features.end() ? Json() : *found;
  };
  RawUser user;
  user.features.rows = 1;
  for (const int index : schema.sparse_of(Side::kUser)) {
    const FeatureSpec& spec = schema.features[static_cast<size_t>(index)];
    const FeatureReader reader(bundle, spec);
    const Json value = value_of(spec);
    SparseColumn column{reader.ids(value), {0}};
    column.offsets.push_back(static_cast<int32_t>(column.ids.size()));
    user.features.sparse.push_back(std::move(column));
    if (!lists_item_keys(schema, spec) || !bundle.counts_as_seen(spec.stream)) continue;
    const std::vector<int32_t> items = reader.items(value);
    user.seen.insert(user.seen.end(), items.begin(), items.end());
  }
  align_sequences(bundle.spec().user, user.features);
  for (const int index : schema.dense_of(Side::kUser)) {
    const FeatureSpec& spec = schema.features[static_cast<size_t>(index)];
    const std::vector<float> values = FeatureReader(bundle, spec).dense(value_of(spec));
    user.features.dense.insert(user.features.dense.end(), values.begin(), values.end());
  }
  std::sort(user.seen.begin(), user.seen.end());
  user.seen.erase(std::unique(user.seen.begin(), user.seen.end()), user.seen.end());
  return user;
}

}  // namespace retort
