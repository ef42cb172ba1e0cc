#include "retort/bundle/bundle.h"

#include <algorithm>
#include <cmath>

#include "retort/bundle/bundle_format.h"
#include "retort/bundle/bundle_writer.h"
#include "retort/common/error.h"

namespace retort {
namespace {}  // namespace

fs::path find_bundle(const fs::path& folder) {
  if (fs::exists(folder / kManifestFile)) return folder;
  const std::vector<int64_t> versions = bundle_versions(folder);
  if (versions.empty())
    fail<DataError>("{}: neither a bundle nor a folder of bundles{}", folder.string(),
                    fs::exists(folder) ? "" : " (it does not exist)");
  return folder / std::to_string(versions.back());
}

Bundle::Bundle(const fs::path& folder)
    : folder_(find_bundle(folder)), manifest_(read_manifest(folder_, true)) {
  open_manifest();
  schema_ = schema_from_json(parse(kSchemaFile));
  const Json model = parse(kModelFile);
  if (!model.is_object() || !model.contains("spec"))
    fail<DataError>("{}: key 'spec' is missing", (folder_ / kModelFile).string());
  spec_ = model_spec_from_json(model["spec"]);
  weights_ = std::make_shared<const SafetensorsFile>(folder_ / kWeightsFile);
  columns_ = CheckedColumns(folder_);
  user_keys_ = StringIndex(columns_.all().strings(kUserKeys));
  item_keys_ = StringIndex(columns_.all().strings(kItemKeys));
  open_users();
  open_items();
  if (manifest_.contains("teacher")) teacher_.emplace(folder_, columns_, schema_, users(), items());
}

void Bundle::open_manifest() {
  const std::string path = (folder_ / kManifestFile).string();
  try {
    if (manifest_.at("kind") != "bundle") fail<DataError>("{}: is no bundle's manifest", path);
    const auto format = manifest_.at("format").get<int64_t>();
    if (format != kBundleFormat)
      fail<DataError>("{}: format {}; this version reads format {}: publish the run again", path,
                      format, kBundleFormat);
    model_ = manifest_.at("model").get<std::string>();
    version_ = manifest_.at("version").get<int64_t>();
    moment_ = manifest_.at("moment").get<int64_t>();
    trained_until_ = manifest_.value("trained_until", INT64_MIN);
  } catch (const nlohmann::json::exception& error) {
    fail<DataError>("{}: {}", path, error.what());
  }
}

Json Bundle::parse(const char* file) const {
  const fs::path path = folder_ / file;
  try {
    return Json::parse(read_file(path));
  } catch (const nlohmann::json::exception& error) {
    fail<DataError>("{}: no JSON: {}", path.string(), error.what());
  }
}

void Bundle::open_users() {
  for (const int index : schema_.sparse_of(Side::kUser)) {
    const FeatureSpec& spec = schema_.features[static_cast<size_t>(index)];
    user_features_.push_back(columns_.id_rows(user_feature_column(spec.name), users(), spec.rows));
  }
  user_dense_ = columns_.values<float>(kUserDense, users() * schema_.dense_width(Side::kUser));
  seen_.ids = columns_.ids(kSeenItems, items());
  seen_.offsets = columns_.offsets(kSeenOffsets, users(), std::ssize(seen_.ids));
  const std::string manifest = (folder_ / kManifestFile).string();
  try {
    for (const auto& [name, entry] : manifest_.at("vocabularies").items()) {
      const auto hashed = entry.at("hashed_rows").get<int64_t>();
      Vocabulary vocabulary(
          hashed > 0 ? Strings() : columns_.all().strings(vocabulary_column(name)), hashed);
      if (vocabulary.rows() != entry.at("rows").get<int64_t>())
        fail<DataError>("{}: vocabulary '{}' has {} rows, not as many as stated", manifest, name,
                        vocabulary.rows());
      vocabularies_.emplace(name, std::move(vocabulary));
    }
  } catch (const nlohmann::json::exception& error) {
    fail<DataError>("{}: {}", manifest, error.what());
  }
}

void Bundle::open_items() {
  item_vectors_ = columns_.values<float>(kItemVectors, items() * vector_dim());
  attributes_ = ItemAttributes(items());
  const std::string manifest = (folder_ / kManifestFile).string();
  try {
    for (const auto& [name, kind] : manifest_.at("attributes").items()) {
      const std::string stem = attribute_column(name);
      if (kind == "number")
        attributes_.add(name, NumberAttribute{columns_.values<double>(stem, items())});
      else
        attributes_.add(name, TextAttribute{columns_.all().strings(stem + ".values"),
                                            columns_.all().get<int32_t>(stem + ".codes"),
                                            columns_.all().get<int64_t>(stem + ".offsets")});
    }
    if (manifest_.at("has_alive").get<bool>()) alive_ = item_filter(kItemsAlive);
    if (manifest_.value("has_candidates", false)) candidates_ = item_filter(kItemsCandidate);
  } catch (const nlohmann::json::exception& error) {
    fail<DataError>("{}: {}", manifest, error.what());
  }
}

ItemFilter Bundle::item_filter(const char* name) const {
  const auto marks = columns_.values<uint8_t>(name, items());
  ItemFilter filter = ItemFilter::none(items());
  for (int32_t item = 0; item < items(); ++item)
    if (marks[static_cast<size_t>(item)] != 0) filter.allow(item);
  return filter;
}

std::optional<int32_t> Bundle::find_user(std::string_view key) const {
  const int32_t user = user_keys_.find(key);
  return user < 0 ? std::nullopt : std::optional(user);
}

std::optional<int32_t> Bundle::find_item(std::string_view key) const {
  const int32_t item = item_keys_.find(key);
  return item < 0 ? std::nullopt : std::optional(item);
}

const Vocabulary& Bundle::vocabulary(const std::string& name) const {
  const auto found = vocabularies_.find(name);
  check(found != vocabularies_.end(), "{}: no vocabulary '{}'", folder_.string(), name);
  return found->second;
}

SideBatch Bundle::user_features(std::span<const int32_t> rows) const {
  const auto width = static_cast<size_t>(schema_.dense_width(Side::kUser));
  SideBatch batch;
  batch.rows = std::ssize(rows);
  batch.sparse.resize(user_features_.size());
  for (SparseColumn& column : batch.sparse) column.offsets.push_back(0);
  for (const int32_t user : rows) {
    check(user >= 0 && user < users(), "user {} of {}", user, users());
    const auto at = static_cast<size_t>(user);
    for (size_t i = 0; i < user_features_.size(); ++i) {
      const auto ids = user_features_[i].of(user);
      SparseColumn& column = batch.sparse[i];
      column.ids.insert(column.ids.end(), ids.begin(), ids.end());
      column.offsets.push_back(static_cast<int32_t>(column.ids.size()));
    }
    const auto dense = user_dense_.subspan(at * width, width);
    batch.dense.insert(batch.dense.end(), dense.begin(), dense.end());
  }
  return batch;
}

bool Bundle::counts_as_seen(const std::string& stream) const {
  if (stream.empty()) return true;
  const Json streams = manifest_.value("exclude_streams", Json::array());
  return std::find(streams.begin(), streams.end(), stream) != streams.end();
}

std::span<const int32_t> Bundle::seen_items(int32_t user) const {
  check(user >= 0 && user < users(), "user {} of {}", user, users());
  return seen_.of(user);
}

std::unique_ptr<ItemIndex> Bundle::open_index() const {
  try {
    const Json& table = manifest_.at("index");
    return find_index(table.at("name").get<std::string>())
        .load(folder_ / kIndexFile, item_vectors_, vector_dim(), table.at("options"));
  } catch (const nlohmann::json::exception& error) {
    fail<DataError>("{}: {}", (folder_ / kManifestFile).string(), error.what());
  }
}

}  // namespace retort
