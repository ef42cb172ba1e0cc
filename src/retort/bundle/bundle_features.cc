#include "retort/bundle/bundle_features.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "retort/bundle/bundle_format.h"
#include "retort/common/error.h"
#include "retort/common/progress.h"
#include "retort/dataset/string_writer.h"

namespace retort {
namespace {

constexpr int64_t kBlock = 4096;

void copy_strings(const fs::path& folder, const std::string& name, const Strings& strings) {
  StringWriter writer(folder, name);
  for (int64_t i = 0; i < strings.size(); ++i) writer.push(strings[i]);
  writer.close();
}

/// Texts by code, in the order of their first use.
class Coder {
 public:
  int32_t code(std::string_view text) {
    const auto [at, added] = codes_.try_emplace(std::string(text), std::ssize(texts_));
    if (added) texts_.push_back(at->first);
    return at->second;
  }
  const std::vector<std::string>& texts() const { return texts_; }

 private:
  std::map<std::string, int32_t, std::less<>> codes_;
  std::vector<std::string> texts_;
};

/// A text attribute, written item by item.
class AttributeWriter {
 public:
  AttributeWriter(const fs::path& folder, const std::string& name)
      : folder_(folder),
        column_(attribute_column(name)),
        codes_(folder, column_ + ".codes"),
        offsets_(folder, column_ + ".offsets") {
    offsets_.push(0);
  }
  /// Empty texts are missing values.
  void add(std::string_view text) {
    if (!text.empty()) codes_.push(coder_.code(text));
  }
  void end_item() { offsets_.push(codes_.size()); }
  void close() {
    codes_.close();
    offsets_.close();
    write_strings(folder_, column_ + ".values", coder_.texts());
  }

 private:
  fs::path folder_;
  std::string column_;
  ColumnWriter<int32_t> codes_;
  ColumnWriter<int64_t> offsets_;
  Coder coder_;
};

void write_text_column(const Strings& texts, const fs::path& folder, const std::string& name) {
  AttributeWriter writer(folder, name);
  for (int64_t item = 0; item < texts.size(); ++item) {
    writer.add(texts[item]);
    writer.end_item();
  }
  writer.close();
}

/// Stored item features whose ids stand for texts, the item's own key excepted.
std::vector<int> features_with_texts(const Dataset& dataset) {
  std::vector<int> found;
  const Schema& schema = dataset.schema();
  const std::vector<int> sparse = schema.sparse_of(Side::kItem);
  for (size_t i = 0; i < sparse.size(); ++i) {
    const FeatureSpec& spec = schema.features[static_cast<size_t>(sparse[i])];
    if (spec.source == FeatureSource::kAttribute && !spec.vocabulary.empty() &&
        spec.column != "item" && dataset.vocabulary(spec.vocabulary).rows() > 1 &&
        !dataset.vocabulary(spec.vocabulary).text(1).empty())
      found.push_back(static_cast<int>(i));
  }
  return found;
}

void write_feature_texts(const Dataset& dataset, const fs::path& folder, Json& table) {
  const Assembler assembler(dataset);
  const std::vector<int> sparse = dataset.schema().sparse_of(Side::kItem);
  std::vector<ItemMoment> rows(static_cast<size_t>(dataset.items()));
  for (size_t item = 0; item < rows.size(); ++item) rows[item] = {static_cast<int32_t>(item), 0};
  SideBatch batch;
  assembler.items(rows, batch);
  for (const int position : features_with_texts(dataset)) {
    const auto index = static_cast<size_t>(sparse[static_cast<size_t>(position)]);
    const FeatureSpec& spec = dataset.schema().features[index];
    if (table.contains(spec.name)) continue;
    const Vocabulary& vocabulary = dataset.vocabulary(spec.vocabulary);
    const SparseColumn& ids = batch.sparse[static_cast<size_t>(position)];
    AttributeWriter writer(folder, spec.name);
    for (size_t item = 0; item < rows.size(); ++item) {
      for (int32_t at = ids.offsets[item]; at < ids.offsets[item + 1]; ++at)
        writer.add(vocabulary.text(ids.ids[static_cast<size_t>(at)]));
      writer.end_item();
    }
    writer.close();
    table[spec.name] = "text";
  }
}

/// Columns of the user features, filled block by block.
class FeatureWriters {
 public:
  FeatureWriters(const Schema& schema, const fs::path& folder) : dense_(folder, kUserDense) {
    for (const int index : schema.sparse_of(Side::kUser)) {
      const std::string name =
          user_feature_column(schema.features[static_cast<size_t>(index)].name);
      ids_.push_back(std::make_unique<ColumnWriter<int32_t>>(folder, name + ".ids"));
      offsets_.push_back(std::make_unique<ColumnWriter<int64_t>>(folder, name + ".offsets"));
      offsets_.back()->push(0);
    }
  }
  void push(const SideBatch& batch) {
    for (size_t i = 0; i < ids_.size(); ++i) {
      const SparseColumn& column = batch.sparse[i];
      const int64_t base = ids_[i]->size();
      for (const int32_t id : column.ids) ids_[i]->push(id);
      for (size_t row = 1; row < column.offsets.size(); ++row)
        offsets_[i]->push(base + column.offsets[row]);
    }
    for (const float value : batch.dense) dense_.push(value);
  }
  void close() {
    for (const auto& writer : ids_) writer->close();
    for (const auto& writer : offsets_) writer->close();
    dense_.close();
  }

 private:
  std::vector<std::unique_ptr<ColumnWriter<int32_t>>> ids_;
  std::vector<std::unique_ptr<ColumnWriter<int64_t>>> offsets_;
  ColumnWriter<float> dense_;
};

}  // namespace

void write_keys(const Dataset& dataset, const fs::path& folder) {
  copy_strings(folder, kUserKeys, dataset.user_keys());
  copy_strings(folder, kItemKeys, dataset.item_keys());
}

Json write_vocabularies(const Dataset& dataset, const fs::path& folder) {
  Json table = Json::object();
  for (const FeatureSpec& spec : dataset.schema().features) {
    if (spec.vocabulary.empty() || table.contains(spec.vocabulary)) continue;
    const Vocabulary& vocabulary = dataset.vocabulary(spec.vocabulary);
    const std::string column = vocabulary_column(spec.vocabulary);
    const bool hashed = !dataset.columns().has(column + ".bytes");
    table[spec.vocabulary] = {{"rows", vocabulary.rows()},
                              {"hashed_rows", hashed ? vocabulary.rows() : 0}};
    if (!hashed) copy_strings(folder, column, dataset.columns().strings(column));
  }
  return table;
}

void write_user_features(const Dataset& dataset, const Assembler& assembler, int64_t moment,
                         const fs::path& folder) {
  FeatureWriters writers(dataset.schema(), folder);
  Progress progress("user features", dataset.users(), "users");
  SideBatch batch;
  for (int64_t begin = 0; begin < dataset.users(); begin += kBlock) {
    const int64_t end = std::min(begin + kBlock, dataset.users());
    std::vector<UserMoment> rows;
    for (int64_t user = begin; user < end; ++user)
      rows.push_back({static_cast<int32_t>(user), moment});
    assembler.users(rows, batch);
    writers.push(batch);
    progress.update(end);
  }
  writers.close();
}

void write_seen_items(const Dataset& dataset, int64_t moment, const fs::path& folder) {
  ColumnWriter<int32_t> items(folder, kSeenItems);
  ColumnWriter<int64_t> offsets(folder, kSeenOffsets);
  offsets.push(0);
  const Clicks& clicks = dataset.clicks();
  for (int32_t user = 0; user < dataset.users(); ++user) {
    const int64_t begin = clicks.user_begin[static_cast<size_t>(user)];
    const int64_t end = dataset.has_time() ? dataset.history_end(user, moment)
                                           : clicks.user_begin[static_cast<size_t>(user) + 1];
    std::set<int32_t> seen(clicks.item.begin() + begin, clicks.item.begin() + end);
    for (const std::string& name : dataset.protocol().exclude_streams) {
      const Stream& stream = dataset.stream(name);
      const int64_t first = stream.user_begin[static_cast<size_t>(user)];
      seen.insert(stream.item.begin() + first, stream.item.begin() + stream.past_end(user, moment));
    }
    for (const int32_t item : seen) items.push(item);
    offsets.push(items.size());
  }
  items.close();
  offsets.close();
}

Json write_attributes(const Dataset& dataset, const fs::path& folder) {
  const std::string prefix = attribute_column(""), suffix = ".bytes";
  Json table = Json::object();
  const Columns& columns = dataset.columns();
  for (const std::string& column : columns.names()) {
    if (!column.starts_with(prefix) || column.ends_with(".offsets")) continue;
    std::string name = column.substr(prefix.size());
    if (column.ends_with(suffix)) {
      name.resize(name.size() - suffix.size());
      write_text_column(columns.strings(attribute_column(name)), folder, name);
      table[name] = "text";
    } else {
      write_column(folder, column, columns.get<double>(column));
      table[name] = "number";
    }
  }
  write_feature_texts(dataset, folder, table);
  return table;
}

std::vector<int64_t> alive_clicks(const Dataset& dataset, int64_t moment) {
  std::vector<int64_t> clicks(static_cast<size_t>(dataset.items()));
  const auto times = dataset.sorted_time();
  const auto first =
      std::lower_bound(times.begin(), times.end(), moment - dataset.protocol().alive_window);
  const auto last = std::lower_bound(first, times.end(), moment);
  for (auto at = first; at != last; ++at) {
    const int64_t click = dataset.by_time()[static_cast<size_t>(at - times.begin())];
    ++clicks[static_cast<size_t>(dataset.clicks().item[static_cast<size_t>(click)])];
  }
  return clicks;
}

void write_candidates(const Dataset& dataset, const fs::path& folder) {
  std::vector<uint8_t> candidate(static_cast<size_t>(dataset.items()), 0);
  for (const int32_t item : dataset.candidates()) candidate[static_cast<size_t>(item)] = 1;
  write_column<uint8_t>(folder, kItemsCandidate, candidate);
}

void write_alive(const Dataset& dataset, int64_t moment, const fs::path& folder) {
  std::vector<uint8_t> alive;
  if (dataset.protocol().alive_by == "clicks") {
    for (const int64_t clicks : alive_clicks(dataset, moment)) alive.push_back(clicks > 0 ? 1 : 0);
  } else {
    alive.assign(static_cast<size_t>(dataset.items()), 0);
    const auto times = dataset.impressions().time;
    auto at =
        std::lower_bound(times.begin(), times.end(), moment - dataset.protocol().alive_window);
    for (; at != times.end() && *at < moment; ++at)
      alive[static_cast<size_t>(
          dataset.impressions().item[static_cast<size_t>(at - times.begin())])] = 1;
  }
  write_column<uint8_t>(folder, kItemsAlive, alive);
}

}  // namespace retort
