// The part of a bundle that a ranking model needs beside what retrieval does: its weights, the
// features of items, and the users' earlier events that features of pairs count.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "retort/bundle/checked_columns.h"
#include "retort/bundle/ranker_spec.h"
#include "retort/bundle/safetensors.h"
#include "retort/bundle/table_storage.h"
#include "retort/dataset/assembler.h"
#include "retort/dataset/batch.h"
#include "retort/dataset/schema.h"

namespace retort {

/// A user's events of one stream before the bundle's moment, oldest first.
struct UserPast {
  std::span<const int32_t> items;
  std::span<const int64_t> times;  // microseconds
  std::span<const float> seconds;  // NaN: unknown
};

/// Const methods are thread-safe. Spans are of the columns it was opened on.
class BundleTeacher {
 public:
  /// Throws DataError naming file or column that is missing or does not fit.
  BundleTeacher(const fs::path& folder, const CheckedColumns& columns, const Schema& schema,
                int64_t users, int64_t items);
  const RankerSpec& spec() const { return spec_; }
  const std::shared_ptr<const SafetensorsFile>& weights() const { return weights_; }
  /// Features of the bundle's items as of its moment, in schema order.
  SideBatch item_features(std::span<const int32_t> items) const;
  /// The ids of an item by `of` of a pair feature (not "item").
  std::span<const int32_t> item_ids(const std::string& of, int32_t item) const;
  /// Events of a stream ("": clicks) that some pair feature counts; the latest ones at least as far
  /// back as it looks.
  UserPast past(const std::string& stream, int32_t user) const;

 private:
  struct Events {
    std::span<const int32_t> items;
    std::span<const int64_t> times, offsets;
    std::span<const float> seconds;
  };
  RankerSpec spec_;
  std::shared_ptr<const SafetensorsFile> weights_;
  int64_t dense_width_;
  std::span<const float> dense_;
  std::vector<IdRows> features_;        // in the order of the schema's sparse item features
  std::map<std::string, IdRows> keys_;  // by `of`
  std::map<std::string, Events> past_;  // by stream
};

/// The pair features of the schema that the model sees.
std::vector<const FeatureSpec*> pair_features(const RankerSpec& spec, const Schema& schema);

/// How many of the latest events a pair feature looks at; 0: all.
int32_t events_of(const FeatureSpec& pair);

/// Writes all that BundleTeacher reads. `weights`: safetensors named as `spec` says. Throws
/// DataError where they do not fit the dataset's schema.
void write_teacher(const RankerSpec& spec, const fs::path& weights, TableStorage storage,
                   const Dataset& dataset, const Assembler& assembler, int64_t moment,
                   const fs::path& folder);

}  // namespace retort
