// A published bundle opened for retrieval: every file is verified before any parser reads it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "retort/bundle/bundle_teacher.h"
#include "retort/bundle/checked_columns.h"
#include "retort/bundle/model_spec.h"
#include "retort/bundle/safetensors.h"
#include "retort/common/file.h"
#include "retort/common/json.h"
#include "retort/dataset/batch.h"
#include "retort/dataset/schema.h"
#include "retort/dataset/vocabulary.h"
#include "retort/index/filter.h"
#include "retort/index/item_index.h"

namespace retort {

/// Const methods are thread-safe. Spans and views stay valid while the bundle lives.
class Bundle {
 public:
  /// `folder`: a version, or a folder of versions (the newest is opened; names that are no
  /// numbers are ignored). Throws DataError naming the first file that is missing, cut, altered
  /// or extra, or that does not fit the others.
  explicit Bundle(const fs::path& folder);
  Bundle(const Bundle&) = delete;
  Bundle& operator=(const Bundle&) = delete;

  const fs::path& folder() const { return folder_; }
  int64_t version() const { return version_; }
  const std::string& model() const { return model_; }
  const Json& manifest() const { return manifest_; }
  const ModelSpec& spec() const { return spec_; }
  const Schema& schema() const { return schema_; }
  const std::shared_ptr<const SafetensorsFile>& weights() const { return weights_; }
  /// The ranking model and what it sees of items; null where it was published without.
  const BundleTeacher* teacher() const { return teacher_ ? &*teacher_ : nullptr; }
  /// The moment of all features, in microseconds.
  int64_t moment() const { return moment_; }
  /// What it has of the log: until the moment of its features, or until the end of the rows that
  /// its weights were trained on, whichever is later. Microseconds.
  int64_t known_until() const { return std::max(moment_, trained_until_); }

  int64_t users() const { return user_keys_.strings().size(); }
  int64_t items() const { return item_keys_.strings().size(); }
  Strings user_keys() const { return user_keys_.strings(); }
  Strings item_keys() const { return item_keys_.strings(); }
  std::optional<int32_t> find_user(std::string_view key) const;
  std::optional<int32_t> find_item(std::string_view key) const;
  /// Throws ArgumentError if the schema names none like this.
  const Vocabulary& vocabulary(const std::string& name) const;

  /// Features of users as of the moment, in schema order. Throws ArgumentError on a wrong index.
  SideBatch user_features(std::span<const int32_t> users) const;
  /// Items the user clicked before the moment, or that the protocol's exclude_streams name for
  /// them, ascending.
  std::span<const int32_t> seen_items(int32_t user) const;

  /// Whether events of the stream ("": clicks) count as seen.
  bool counts_as_seen(const std::string& stream) const;

  /// [items, vector_dim], the popularity dimension last if spec().beta != 0.
  std::span<const float> item_vectors() const { return item_vectors_; }
  int32_t vector_dim() const { return spec_.dim() + (spec_.beta != 0 ? 1 : 0); }
  const ItemAttributes& attributes() const { return attributes_; }
  /// Items that may be recommended; without bits where all may.
  const ItemFilter& candidates() const { return candidates_; }
  /// Items alive at the moment; without bits where the dataset had no alive window.
  const ItemFilter& alive() const { return alive_; }
  /// The index named in the manifest, over item_vectors().
  std::unique_ptr<ItemIndex> open_index() const;

 private:
  void open_manifest();
  void open_users();
  void open_items();
  Json parse(const char* file) const;
  ItemFilter item_filter(const char* name) const;

  fs::path folder_;
  Json manifest_;
  std::string model_;
  int64_t version_ = 0, moment_ = 0, trained_until_ = INT64_MIN;
  ModelSpec spec_;
  Schema schema_;
  std::shared_ptr<const SafetensorsFile> weights_;
  CheckedColumns columns_;
  StringIndex user_keys_, item_keys_;
  std::map<std::string, Vocabulary> vocabularies_;
  std::vector<IdRows> user_features_;  // in the order of the schema's sparse user features
  std::span<const float> user_dense_, item_vectors_;
  IdRows seen_;
  ItemAttributes attributes_;
  ItemFilter candidates_, alive_;
  std::optional<BundleTeacher> teacher_;
};

/// The folder of the newest version below `folder`, or `folder` itself if it is a version. Throws
/// DataError if it is neither.
fs::path find_bundle(const fs::path& folder);

}  // namespace retort
