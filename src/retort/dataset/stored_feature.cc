#include <algorithm>
#include <limits>
#include <string>

#include "retort/common/error.h"
#include "retort/dataset/feature_source.h"

namespace retort {
namespace {

/// Which rows a stored column has: one a user, one an item, or one a click.
struct Place {
  std::string prefix;
  int64_t rows;
  bool of_item, of_click;

  Place(const Dataset& dataset, const FeatureSpec& spec)
      : of_item(spec.side == Side::kItem), of_click(spec.source == FeatureSource::kContext) {
    prefix = (of_click ? "clicks." : of_item ? "item." : "user.") + spec.name;
    rows = of_click ? dataset.clicks().size() : of_item ? dataset.items() : dataset.users();
  }
  int64_t index(const FeatureRow& row) const {
    return of_click ? row.click : of_item ? row.item : row.user;
  }
};

template <class T>
void check_size(const Dataset& dataset, const std::string& name, std::span<const T> values,
                int64_t expected) {
  if (static_cast<int64_t>(values.size()) != expected)
    fail<DataError>("{}: column '{}' has {} values where {} are expected",
                    dataset.folder().string(), name, values.size(), expected);
}

std::span<const int32_t> checked_ids(const Dataset& dataset, const std::string& name,
                                     int64_t limit) {
  const auto ids = dataset.columns().get<int32_t>(name);
  for (const int32_t id : ids)
    if (id < 0 || id >= limit)
      fail<DataError>("{}: column '{}' holds id {}; the feature has {} rows",
                      dataset.folder().string(), name, id, limit);
  return ids;
}

class StoredId : public IdSource {
 public:
  StoredId(const Dataset& dataset, const FeatureSpec& spec)
      : place_(dataset, spec), ids_(checked_ids(dataset, place_.prefix + ".ids", spec.rows)) {
    check_size(dataset, place_.prefix + ".ids", ids_, place_.rows);
  }
  void append(const FeatureRow& row, std::vector<int32_t>& ids) const override {
    const int64_t at = place_.index(row);
    ids.push_back(at < 0 ? 0 : ids_[static_cast<size_t>(at)]);
  }

 private:
  Place place_;
  std::span<const int32_t> ids_;
};

void check_offsets(const Dataset& dataset, const std::string& stem,
                   std::span<const int64_t> offsets, int64_t rows, size_t ids) {
  check_size(dataset, stem + ".offsets", offsets, rows + 1);
  if (offsets.front() != 0 || !std::is_sorted(offsets.begin(), offsets.end()) ||
      offsets.back() != static_cast<int64_t>(ids))
    fail<DataError>("{}: column '{}.offsets' does not rise from 0 to {}", dataset.folder().string(),
                    stem, ids);
}

class StoredBag : public IdSource {
 public:
  StoredBag(const Dataset& dataset, const FeatureSpec& spec)
      : place_(dataset, spec),
        ids_(checked_ids(dataset, place_.prefix + ".ids", spec.rows)),
        offsets_(dataset.columns().get<int64_t>(place_.prefix + ".offsets")) {
    check_offsets(dataset, place_.prefix, offsets_, place_.rows, ids_.size());
  }
  void append(const FeatureRow& row, std::vector<int32_t>& ids) const override {
    const int64_t at = place_.index(row);
    if (at < 0) return;
    const auto begin = offsets_[static_cast<size_t>(at)],
               end = offsets_[static_cast<size_t>(at) + 1];
    ids.insert(ids.end(), ids_.begin() + begin, ids_.begin() + end);
  }

 private:
  Place place_;
  std::span<const int32_t> ids_;
  std::span<const int64_t> offsets_;
};

class StoredNumbers : public NumberSource {
 public:
  StoredNumbers(const Dataset& dataset, const FeatureSpec& spec)
      : place_(dataset, spec),
        width_(spec.width),
        values_(dataset.columns().get<float>(place_.prefix + ".values")) {
    check_size(dataset, place_.prefix + ".values", values_, place_.rows * width_);
  }
  double value(const FeatureRow& row, int32_t part) const override {
    const int64_t at = place_.index(row);
    if (at < 0) return std::numeric_limits<double>::quiet_NaN();
    return values_[static_cast<size_t>(at * width_ + part)];
  }

 private:
  Place place_;
  int32_t width_;
  std::span<const float> values_;
};

}  // namespace

std::unique_ptr<IdSource> make_stored_ids(const Dataset& dataset, const FeatureSpec& spec) {
  if (spec.kind == FeatureKind::kBag) return std::make_unique<StoredBag>(dataset, spec);
  return std::make_unique<StoredId>(dataset, spec);
}

std::unique_ptr<NumberSource> make_stored_numbers(const Dataset& dataset, const FeatureSpec& spec) {
  return std::make_unique<StoredNumbers>(dataset, spec);
}

std::span<const int32_t> item_ids(const Dataset& dataset, const std::string& feature) {
  const std::string name = "item." + feature + ".ids";
  const auto ids = dataset.columns().get<int32_t>(name);
  check_size(dataset, name, ids, dataset.items());
  return ids;
}

ItemBag item_bag(const Dataset& dataset, const std::string& feature) {
  const std::string stem = "item." + feature;
  const ItemBag bag{dataset.columns().get<int32_t>(stem + ".ids"),
                    dataset.columns().get<int64_t>(stem + ".offsets")};
  check_offsets(dataset, stem, bag.offsets, dataset.items(), bag.ids.size());
  return bag;
}

}  // namespace retort
