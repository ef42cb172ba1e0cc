#include "retort/bundle/bundle_teacher.h"

#include <algorithm>
#include <limits>
#include <set>

#include "retort/bundle/bundle_format.h"
#include "retort/common/error.h"
#include "retort/common/progress.h"

namespace retort {
namespace {

constexpr int64_t kItemsAtOnce = 4096;

RankerSpec read_spec(const fs::path& path) {
  try {
    return ranker_spec_from_json(Json::parse(read_file(path)).at("spec"));
  } catch (const nlohmann::json::exception& error) {
    fail<DataError>("{}: {}", path.string(), error.what());
  } catch (const DataError& error) {
    fail<DataError>("{}: {}", path.string(), error.what());
  }
}

/// Streams that pair features count, each with how many of the latest events; 0: all.
std::map<std::string, int32_t> counted_streams(const RankerSpec& spec, const Schema& schema) {
  std::map<std::string, int32_t> streams;
  for (const FeatureSpec* feature : pair_features(spec, schema)) {
    const int32_t events = events_of(*feature);
    const auto [at, added] = streams.try_emplace(feature->stream, events);
    if (!added) at->second = at->second == 0 || events == 0 ? 0 : std::max(at->second, events);
  }
  return streams;
}

/// The item features by whose ids pair features know that items go together.
std::set<std::string> compared_features(const RankerSpec& spec, const Schema& schema) {
  std::set<std::string> names;
  for (const FeatureSpec* feature : pair_features(spec, schema))
    if (feature->of != "item") names.insert(feature->of);
  return names;
}

void write_item_features(const Dataset& dataset, const Assembler& assembler, int64_t moment,
                         const fs::path& folder) {
  struct Writers {
    ColumnWriter<int32_t> ids;
    ColumnWriter<int64_t> offsets;
  };
  std::vector<std::unique_ptr<Writers>> sparse;
  for (const int index : dataset.schema().sparse_of(Side::kItem)) {
    const std::string stem =
        item_feature_column(dataset.schema().features[static_cast<size_t>(index)].name);
    sparse.push_back(std::make_unique<Writers>(ColumnWriter<int32_t>(folder, stem + ".ids"),
                                               ColumnWriter<int64_t>(folder, stem + ".offsets")));
    sparse.back()->offsets.push(0);
  }
  ColumnWriter<float> dense(folder, kItemDense);
  Progress progress("item features", dataset.items(), "items");
  SideBatch batch;
  for (int64_t begin = 0; begin < dataset.items(); begin += kItemsAtOnce) {
    const int64_t end = std::min(begin + kItemsAtOnce, dataset.items());
    std::vector<ItemMoment> rows;
    for (int64_t item = begin; item < end; ++item)
      rows.push_back({static_cast<int32_t>(item), moment});
    assembler.items(rows, batch);
    for (size_t i = 0; i < sparse.size(); ++i) {
      const int64_t base = sparse[i]->ids.size();
      for (const int32_t id : batch.sparse[i].ids) sparse[i]->ids.push(id);
      for (size_t row = 1; row < batch.sparse[i].offsets.size(); ++row)
        sparse[i]->offsets.push(base + batch.sparse[i].offsets[row]);
    }
    for (const float value : batch.dense) dense.push(value);
    progress.update(end);
  }
  for (const auto& writers : sparse) {
    writers->ids.close();
    writers->offsets.close();
  }
  dense.close();
}

/// The stored ids of an item feature that stands on no side of the model.
void write_hidden_feature(const Dataset& dataset, const FeatureSpec& feature,
                          const fs::path& folder) {
  const std::string from = "item." + feature.name, to = item_feature_column(feature.name);
  const auto ids = dataset.columns().get<int32_t>(from + ".ids");
  write_column(folder, to + ".ids", ids);
  if (feature.kind == FeatureKind::kBag)
    return write_column(folder, to + ".offsets", dataset.columns().get<int64_t>(from + ".offsets"));
  std::vector<int64_t> offsets(ids.size() + 1);
  for (size_t i = 0; i < offsets.size(); ++i) offsets[i] = static_cast<int64_t>(i);
  write_column<int64_t>(folder, to + ".offsets", offsets);
}

void write_past(const Dataset& dataset, const std::string& stream, int32_t last, int64_t moment,
                const fs::path& folder) {
  const std::string stem = past_column(stream);
  ColumnWriter<int32_t> items(folder, stem + ".items");
  ColumnWriter<int64_t> times(folder, stem + ".times"), offsets(folder, stem + ".offsets");
  ColumnWriter<float> seconds(folder, stem + ".seconds");
  const Clicks& clicks = dataset.clicks();
  const Stream events = stream.empty()
                            ? Stream{clicks.item, clicks.time, clicks.seconds, clicks.user_begin}
                            : dataset.stream(stream);
  offsets.push(0);
  for (int32_t user = 0; user < dataset.users(); ++user) {
    int64_t at = events.user_begin[static_cast<size_t>(user)];
    const int64_t end = dataset.has_time() ? events.past_end(user, moment) : at;
    if (last > 0) at = std::max(at, end - last);
    for (; at < end; ++at) {
      const auto place = static_cast<size_t>(at);
      items.push(events.item[place]);
      times.push(events.time[place]);
      seconds.push(events.seconds.empty() ? std::numeric_limits<float>::quiet_NaN()
                                          : events.seconds[place]);
    }
    offsets.push(items.size());
  }
  items.close();
  times.close();
  seconds.close();
  offsets.close();
}

}  // namespace

std::vector<const FeatureSpec*> pair_features(const RankerSpec& spec, const Schema& schema) {
  std::vector<const FeatureSpec*> seen;
  for (const FieldSpec& field : spec.pair.fields) seen.push_back(schema.find(field.feature));
  if (spec.pair.dense_width > 0)
    for (const int index : schema.dense_of(Side::kPair))
      seen.push_back(&schema.features[static_cast<size_t>(index)]);
  return seen;
}

int32_t events_of(const FeatureSpec& pair) {
  constexpr int32_t kClicks = 200;  // FeatureSpec::last
  return pair.last > 0 || !pair.stream.empty() ? pair.last : kClicks;
}

BundleTeacher::BundleTeacher(const fs::path& folder, const CheckedColumns& columns,
                             const Schema& schema, int64_t users, int64_t items)
    : spec_(read_spec(folder / kTeacherFile)),
      weights_(std::make_shared<const SafetensorsFile>(folder / kTeacherWeightsFile)),
      dense_width_(schema.dense_width(Side::kItem)) {
  try {
    check_fits(spec_, schema);
  } catch (const DataError& error) {
    fail<DataError>("{}: {}", (folder / kTeacherFile).string(), error.what());
  }
  const auto stored = [&](const FeatureSpec& feature) {
    return columns.id_rows(item_feature_column(feature.name), items, feature.rows);
  };
  for (const int index : schema.sparse_of(Side::kItem))
    features_.push_back(stored(schema.features[static_cast<size_t>(index)]));
  dense_ = columns.values<float>(kItemDense, items * dense_width_);
  for (const std::string& of : compared_features(spec_, schema)) {
    const FeatureSpec* feature = schema.find(of);
    if (feature == nullptr || !feature->sparse())
      fail<DataError>("{}: pair features compare items by '{}', which is no feature with ids",
                      folder.string(), of);
    keys_[of] = stored(*feature);
  }
  for (const auto& [stream, last] : counted_streams(spec_, schema)) {
    const std::string stem = past_column(stream);
    Events& events = past_[stream];
    events.items = columns.ids(stem + ".items", items);
    const int64_t count = std::ssize(events.items);
    events.times = columns.values<int64_t>(stem + ".times", count);
    events.seconds = columns.values<float>(stem + ".seconds", count);
    events.offsets = columns.offsets(stem + ".offsets", users, count);
  }
}

SideBatch BundleTeacher::item_features(std::span<const int32_t> items) const {
  SideBatch batch;
  batch.rows = std::ssize(items);
  batch.sparse.resize(features_.size());
  for (SparseColumn& column : batch.sparse) column.offsets.push_back(0);
  for (const int32_t item : items) {
    for (size_t i = 0; i < features_.size(); ++i) {
      const auto ids = features_[i].of(item);
      SparseColumn& column = batch.sparse[i];
      column.ids.insert(column.ids.end(), ids.begin(), ids.end());
      column.offsets.push_back(static_cast<int32_t>(column.ids.size()));
    }
    const auto dense =
        dense_.subspan(static_cast<size_t>(item * dense_width_), static_cast<size_t>(dense_width_));
    batch.dense.insert(batch.dense.end(), dense.begin(), dense.end());
  }
  return batch;
}

std::span<const int32_t> BundleTeacher::item_ids(const std::string& of, int32_t item) const {
  return keys_.at(of).of(item);
}

UserPast BundleTeacher::past(const std::string& stream, int32_t user) const {
  const Events& events = past_.at(stream);
  const auto at = static_cast<size_t>(user);
  const auto begin = static_cast<size_t>(events.offsets[at]);
  const auto count = static_cast<size_t>(events.offsets[at + 1]) - begin;
  return {events.items.subspan(begin, count), events.times.subspan(begin, count),
          events.seconds.subspan(begin, count)};
}

void write_teacher(const RankerSpec& spec, const fs::path& weights, TableStorage storage,
                   const Dataset& dataset, const Assembler& assembler, int64_t moment,
                   const fs::path& folder) {
  check_fits(spec, dataset.schema());
  store_tables(table_fields(spec), weights, folder / kTeacherWeightsFile, storage);
  write_file(folder / kTeacherFile, Json{{"spec", to_json(spec)}}.dump(1) + '\n');
  write_item_features(dataset, assembler, moment, folder);
  for (const std::string& name : compared_features(spec, dataset.schema()))
    if (const FeatureSpec* feature = dataset.schema().find(name); feature && feature->hidden)
      write_hidden_feature(dataset, *feature, folder);
  for (const auto& [stream, last] : counted_streams(spec, dataset.schema()))
    write_past(dataset, stream, last, moment, folder);
}

}  // namespace retort
