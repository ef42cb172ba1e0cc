// Publishing: everything retrieval needs of a trained student, written as one new version.
// docs/bundle-format.md is the reference of the files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "retort/bundle/model_spec.h"
#include "retort/bundle/ranker_spec.h"
#include "retort/bundle/table_storage.h"
#include "retort/common/file.h"
#include "retort/common/json.h"
#include "retort/dataset/dataset.h"
#include "retort/metric/towers.h"

namespace retort {

struct BundleContents {
  std::string model;  // name of the model's recipe
  ModelSpec spec;     // of the student; spec.beta adds the popularity dimension
  fs::path weights;   // safetensors of the student, named as `spec` says
  const Dataset* dataset = nullptr;
  const Towers* towers = nullptr;                 // the student: item vectors come from it
  TableStorage embeddings = TableStorage::kFp32;  // of all tables
  Json index = {{"name", "exact"}};               // {"name", "options"}: an entry of indexes()
  std::optional<int64_t> moment;  // as-of moment of all features; end of the log by default
  std::optional<int64_t> trained_until{};  // end of the rows that the weights learned from
  /// The ranking model that the bundle carries, with its weights, named as the spec says; or none.
  std::optional<RankerSpec> teacher{};
  fs::path teacher_weights{};
  Json recipe, provenance;  // kept as they are in model.json and manifest.json
};

struct PublishResult {
  int64_t version = 0;
  fs::path path;
  int64_t users = 0, items = 0;
  double recall = 1;  // of the index against exact search at k = 100
  double seconds = 0;
};
/// {"version", "path", "users", "items", "recall"}
Json to_json(const PublishResult& result);

/// Writes `bundles`/<n>/, n one above the highest there is, atomically: a reader sees the whole
/// version or none, and of two publishers at once each gets its own number. The recall of the
/// index against exact search at k = 100 over a sample of users is logged and stored. An HNSW
/// index without the option equal_norms is built with false, then, if it finds less than 95%, with
/// true, and the better is kept.
/// Throws DataError if weights and spec do not fit, ConfigError on a wrong index, IoError.
PublishResult publish_bundle(const BundleContents& contents, const fs::path& bundles);

/// The numbers of the versions in a folder, ascending; other names are ignored.
std::vector<int64_t> bundle_versions(const fs::path& bundles);

}  // namespace retort
