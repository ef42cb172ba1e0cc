#include "retort/encoder/features.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "retort/common/error.h"
#include "retort/encoder/feature_reader.h"

namespace retort {
namespace {

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

std::vector<std::string> user_features_of(const Schema& schema) {
  std::vector<std::string> names;
  for (const FeatureSpec& spec : schema.features)
    if (spec.side == Side::kUser) names.push_back(spec.name);
  return names;
}

template <class T>
void sort_unique(std::vector<T>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

}  // namespace

void check_user_features(const Schema& schema, const Json& features) {
  check_names(features, user_features_of(schema), "user feature");
  check_lengths(schema, features);
}

bool lists_item_keys(const Schema& schema, const FeatureSpec& spec) {
  const FeatureSpec* of = schema.find(spec.of);
  return spec.kind == FeatureKind::kSequence && spec.with.empty() && of != nullptr &&
         of->column == "item";
}

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

void add_seen(const Bundle& bundle, std::string_view key, RawUser& user) {
  if (const auto item = bundle.find_item(key))
    user.seen.push_back(*item);
  else if (!key.empty())
    user.seen_others.emplace_back(key);
}

void sort_seen(RawUser& user) {
  sort_unique(user.seen);
  sort_unique(user.seen_others);
}

RawUser raw_user(const Bundle& bundle, const Json& features) {
  const Schema& schema = bundle.schema();
  check_user_features(schema, features);
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
    for (const std::string& key : reader.texts(value)) add_seen(bundle, key, user);
  }
  align_sequences(bundle.spec().user, user.features);
  for (const int index : schema.dense_of(Side::kUser)) {
    const FeatureSpec& spec = schema.features[static_cast<size_t>(index)];
    const std::vector<float> values = FeatureReader(bundle, spec).dense(value_of(spec));
    user.features.dense.insert(user.features.dense.end(), values.begin(), values.end());
  }
  sort_seen(user);
  return user;
}

void append_row(SideBatch& all, const SideBatch& one) {
  if (all.rows == 0) {
    all = one;
    return;
  }
  for (size_t i = 0; i < all.sparse.size(); ++i) {
    SparseColumn& to = all.sparse[i];
    to.ids.insert(to.ids.end(), one.sparse[i].ids.begin(), one.sparse[i].ids.end());
    to.offsets.push_back(static_cast<int32_t>(to.ids.size()));
  }
  all.dense.insert(all.dense.end(), one.dense.begin(), one.dense.end());
  ++all.rows;
}

}  // namespace retort
