// Where the ids and numbers of one feature come from. The assembler holds one source a feature;
// adding a source of features is a class here and a case in assembler.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "retort/dataset/dataset.h"

namespace retort {

/// What a source may look at. Fields a side does not have are -1.
struct FeatureRow {
  int32_t user = -1;
  int32_t item = -1;
  int64_t time = 0;
  int64_t click = -1;
};

/// Ids of a sparse feature. Const methods are thread-safe.
class IdSource {
 public:
  virtual ~IdSource() = default;
  /// Appends the row's ids: exactly one for a categorical feature, 0 where it is missing.
  virtual void append(const FeatureRow& row, std::vector<int32_t>& ids) const = 0;
};

/// Raw numbers of a dense or bucketed feature. Const methods are thread-safe.
class NumberSource {
 public:
  virtual ~NumberSource() = default;
  /// Number `part` (below the feature's width) before its transform; NaN where it is missing.
  virtual double value(const FeatureRow& row, int32_t part) const = 0;
};

/// A column of the user or item table, or of the clicks (context).
std::unique_ptr<IdSource> make_stored_ids(const Dataset& dataset, const FeatureSpec& spec);
std::unique_ptr<NumberSource> make_stored_numbers(const Dataset& dataset, const FeatureSpec& spec);

/// hour: 1 + hour of the day (UTC); weekday: 1 + day, Monday first; 0 in a dataset without time.
std::unique_ptr<IdSource> make_time_part(const Dataset& dataset, const FeatureSpec& spec);
/// Seconds since the item was published or, where that is unknown or not yet past, since its
/// first click; missing before either.
std::unique_ptr<NumberSource> make_item_age(const Dataset& dataset);

/// The user's last clicks (or events of a stream) strictly before the moment, newest first: ids of
/// an item feature, or with "seconds" / "age" the log2 bucket of the seconds read / since that
/// click; with `distinct` each item once, and its sums over all its events before the moment.
std::unique_ptr<IdSource> make_history(const Dataset& dataset, const FeatureSpec& spec);
/// Number of the user's clicks (or events of a stream) before the moment on items that share an id
/// of `of` with the item, the sum of their known seconds, or the seconds since the latest; missing
/// where the item's own ids are out-of-vocabulary.
std::unique_ptr<NumberSource> make_cross(const Dataset& dataset, const FeatureSpec& spec);

/// A statistic of the key's clicks in [t - window, t). Missing without time, and for the
/// out-of-vocabulary row of a group, which stands for many keys.
std::unique_ptr<NumberSource> make_as_of(const Dataset& dataset, const FeatureSpec& spec);

/// The numbers of any source but a history.
/// @throw ArgumentError for a history
std::unique_ptr<NumberSource> make_numbers(const Dataset& dataset, const FeatureSpec& spec);

/// The stored ids of an item feature, one an item.
std::span<const int32_t> item_ids(const Dataset& dataset, const std::string& feature);
/// The stored ids of a bag: those of item i are ids[offsets[i] .. offsets[i + 1]).
struct ItemBag {
  std::span<const int32_t> ids;
  std::span<const int64_t> offsets;
};
ItemBag item_bag(const Dataset& dataset, const std::string& feature);

}  // namespace retort
