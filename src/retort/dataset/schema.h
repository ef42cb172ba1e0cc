// What a feature is: where its values come from, on which side of the model it stands, how many
// embedding rows or dense values it has. Written by ingest into the dataset's manifest, read by
// the assembler, the models and (from the bundle) the encoder.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "retort/common/json.h"

namespace retort {

/// user and item features feed the towers; pair features (interactions) only a teacher.
enum class Side { kUser, kItem, kPair };
/// categorical: one id; bag: several ids; sequence: the user's last events, newest first; dense:
/// `width` floats.
enum class FeatureKind { kCategorical, kBag, kSequence, kDense };
/// attribute: a column of the user or item table (static). context: a column of the event
/// itself. time: a part of the moment of the event. history: the user's clicks (or events of a
/// `stream`) strictly before the moment. as_of: a trailing-window statistic of clicks strictly
/// before the moment. cross: a number over the user's earlier clicks (or events of a `stream`) on
/// items that share `of` with the item (pair features).
enum class FeatureSource { kAttribute, kContext, kTime, kHistory, kAsOf, kCross };

/// How a raw number x becomes a dense value, or an id when `boundaries` are given.
struct Transform {
  /// none: x; log: log1p(max(x, 0)); standard: (x - mean) / deviation, from training rows;
  /// bucket: id = 1 + number of boundaries <= x (id 0 = missing). Missing dense values give 0.
  std::string kind = "none";
  double mean = 0;
  double deviation = 1;
  std::vector<double> boundaries{};
  double operator()(double x) const;  // dense value
  int32_t bucket(double x) const;     // id, for kind == "bucket"
};

struct FeatureSpec {
  std::string name{};
  Side side = Side::kUser;
  FeatureKind kind = FeatureKind::kCategorical;
  FeatureSource source = FeatureSource::kAttribute;

  std::string column{};      // attribute, context: the source column; "user" / "item" for the key
  std::string vocabulary{};  // sparse kinds: name of the vocabulary, "" for buckets and time parts
  int64_t rows = 0;          // sparse kinds: embedding rows, row 0 is out-of-vocabulary / missing
  int32_t width = 1;         // dense: number of floats
  double oov_dropout = 0;    // share of training rows whose id is replaced by row 0
  double dropout = 0;        // bag: share of its elements that a training row goes without

  /// time: "hour" (rows 25), "weekday" (rows 8); "age" (dense or bucket: seconds since the item's
  /// `published` attribute or, without one, since its first click).
  std::string part{};
  /// history: the item feature whose ids are listed ("item_id", "category").
  /// as_of, cross: the key: "item", "user" or the name of a categorical item feature; cross also
  /// takes a bag of the item (genres): to share is then to have an id in common.
  std::string of{};
  std::string stream{};  // history, cross: the named stream of events; "" = the clicks
  /// history: at most this many clicks. cross: of the latest so many; 0 = 200 clicks, or all events
  /// of a stream.
  int32_t last = 0;
  /// history: each item once, newest first; its side information is over all its earlier events.
  bool distinct = false;
  /// history: "" = the ids of `of`; "seconds" / "age" / "count" = side information aligned with the
  /// sequence of the same `stream`, `of`, `last` and `distinct`: log2 buckets of the seconds read /
  /// of the time since that click; with `distinct`, of the sum of the item's known seconds / of the
  /// time since its latest event / of the number of its events.
  std::string with{};
  /// as_of: "clicks", "reads", "mean_log_seconds", "age" (seconds since the key's first click).
  /// cross: "" = the number of such events, "seconds" = the sum of their known seconds, "age" =
  /// seconds since the latest, missing where there is none.
  std::string statistic{};
  int64_t window = 0;  // as_of: microseconds; 0 = all the past
  Transform transform{};
  bool hidden = false;  // item attributes: stored for the `of` of others, on no side of a model

  bool sparse() const { return kind != FeatureKind::kDense; }
  /// history with side information: id of a number of seconds or events, 1 + floor(log2(1 + x)) up
  /// to the last row; 0 for NaN.
  int32_t side_bucket(double x) const;
};

struct Schema {
  std::vector<FeatureSpec> features;

  /// Indices into `features` of one side's sparse (dense) features, in schema order and without
  /// hidden ones: the order of SideBatch::sparse and of the values of SideBatch::dense.
  std::vector<int> sparse_of(Side side) const;
  std::vector<int> dense_of(Side side) const;
  int32_t dense_width(Side side) const;
  /// nullptr if there is none.
  const FeatureSpec* find(const std::string& name) const;
};

Json to_json(const Schema& schema);
/// Throws DataError naming the feature and key that is wrong.
Schema schema_from_json(const Json& json);

}  // namespace retort
