#include "retort/dataset/assembler.h"

#include <utility>
#include <vector>

#include "retort/common/error.h"
#include "retort/dataset/feature_source.h"

namespace retort {
namespace {

/// Ids by the buckets of a number.
class BucketIds : public IdSource {
 public:
  BucketIds(std::unique_ptr<NumberSource> number, Transform transform)
      : number_(std::move(number)), transform_(std::move(transform)) {}
  void append(const FeatureRow& row, std::vector<int32_t>& ids) const override {
    ids.push_back(transform_.bucket(number_->value(row, 0)));
  }

 private:
  std::unique_ptr<NumberSource> number_;
  Transform transform_;
};

std::unique_ptr<IdSource> make_ids(const Dataset& dataset, const FeatureSpec& spec) {
  if (spec.transform.kind == "bucket")
    return std::make_unique<BucketIds>(make_numbers(dataset, spec), spec.transform);
  if (spec.source == FeatureSource::kTime) return make_time_part(dataset, spec);
  if (spec.source == FeatureSource::kHistory) return make_history(dataset, spec);
  return make_stored_ids(dataset, spec);
}

struct SparsePlan {
  std::unique_ptr<IdSource> source;
  double oov_dropout, dropout;
  uint64_t feature;  // index in the schema: the stream of the dropouts' draws
};

struct DensePlan {
  std::unique_ptr<NumberSource> source;
  Transform transform;
  int32_t width;
};

using MaybeDropout = std::optional<Assembler::Dropout>;

void drop_ids(std::span<int32_t> ids, double share, const Rng& rng) {
  for (size_t i = 0; i < ids.size(); ++i)
    if (rng.uniform(i) < share) ids[i] = 0;
}

/// Leaves elements from `begin` on out.
void leave_out(std::vector<int32_t>& ids, size_t begin, double share, const Rng& rng) {
  size_t kept = begin;
  for (size_t i = begin; i < ids.size(); ++i)
    if (rng.uniform(i - begin) >= share) ids[kept++] = ids[i];
  ids.resize(kept);
}

/// The features of one side, ready to be computed for any rows.
class SidePlan {
 public:
  SidePlan(const Dataset& dataset, Side side) {
    const Schema& schema = dataset.schema();
    for (const int index : schema.sparse_of(side)) {
      const FeatureSpec& spec = schema.features[static_cast<size_t>(index)];
      sparse_.push_back(
          {make_ids(dataset, spec), spec.oov_dropout, spec.dropout, static_cast<uint64_t>(index)});
    }
    for (const int index : schema.dense_of(side)) {
      const FeatureSpec& spec = schema.features[static_cast<size_t>(index)];
      dense_.push_back({make_numbers(dataset, spec), spec.transform, spec.width});
    }
    width_ = schema.dense_width(side);
  }

  /// `row_at(r)` gives the FeatureRow of output row r.
  template <class RowAt>
  void fill(size_t rows, const RowAt& row_at, SideBatch& out, const MaybeDropout& dropout) const {
    check(!dropout || dropout->positions.size() == rows, "Assembler: {} positions for {} rows",
          dropout ? dropout->positions.size() : 0, rows);
    out.rows = static_cast<int64_t>(rows);
    out.sparse.resize(sparse_.size());
    for (size_t i = 0; i < sparse_.size(); ++i)
      fill_sparse(sparse_[i], rows, row_at, out.sparse[i], dropout);
    out.dense.resize(rows * static_cast<size_t>(width_));
    size_t at = 0;
    for (const DensePlan& plan : dense_) {
      fill_dense(plan, rows, row_at, out.dense, at);
      at += static_cast<size_t>(plan.width);
    }
  }

 private:
  template <class RowAt>
  static void fill_sparse(const SparsePlan& plan, size_t rows, const RowAt& row_at,
                          SparseColumn& out, const MaybeDropout& dropout) {
    out.ids.clear();
    out.offsets.resize(rows + 1);
    out.offsets[0] = 0;
    const bool drop = dropout && plan.oov_dropout > 0;
    const bool fewer = dropout && plan.dropout > 0;
    const Rng rng = drop || fewer ? dropout->rng.fork(plan.feature) : Rng();
    for (size_t r = 0; r < rows; ++r) {
      const size_t begin = out.ids.size();
      plan.source->append(row_at(r), out.ids);
      if (drop)
        drop_ids(std::span(out.ids).subspan(begin), plan.oov_dropout,
                 rng.fork(dropout->positions[r]));
      if (fewer) leave_out(out.ids, begin, plan.dropout, rng.fork(dropout->positions[r]).fork(1));
      out.offsets[r + 1] = static_cast<int32_t>(out.ids.size());
    }
  }

  template <class RowAt>
  void fill_dense(const DensePlan& plan, size_t rows, const RowAt& row_at,
                  std::vector<float>& dense, size_t at) const {
    for (size_t r = 0; r < rows; ++r) {
      const FeatureRow row = row_at(r);
      float* out = dense.data() + r * static_cast<size_t>(width_) + at;
      for (int32_t part = 0; part < plan.width; ++part)
        out[part] = static_cast<float>(plan.transform(plan.source->value(row, part)));
    }
  }

  std::vector<SparsePlan> sparse_;
  std::vector<DensePlan> dense_;
  int32_t width_ = 0;
};

}  // namespace

std::unique_ptr<NumberSource> make_numbers(const Dataset& dataset, const FeatureSpec& spec) {
  switch (spec.source) {
    case FeatureSource::kAttribute:
    case FeatureSource::kContext:
      return make_stored_numbers(dataset, spec);
    case FeatureSource::kTime:
      return make_item_age(dataset);
    case FeatureSource::kAsOf:
      return make_as_of(dataset, spec);
    case FeatureSource::kCross:
      return make_cross(dataset, spec);
    case FeatureSource::kHistory:
      break;
  }
  fail<ArgumentError>("feature '{}': a history has no numbers", spec.name);
}

struct Assembler::Plan {
  explicit Plan(const Dataset& dataset)
      : users(dataset.users()),
        items(dataset.items()),
        clicks(dataset.clicks().size()),
        user(dataset, Side::kUser),
        item(dataset, Side::kItem),
        pair(dataset, Side::kPair) {}

  void check_rows(std::span<const UserMoment> rows) const {
    for (const UserMoment& row : rows)
      check(row.user >= 0 && row.user < users && row.click >= -1 && row.click < clicks,
            "Assembler: user {} of {}, click {} of {}", row.user, users, row.click, clicks);
  }
  void check_rows(std::span<const ItemMoment> rows) const {
    for (const ItemMoment& row : rows)
      check(row.item >= 0 && row.item < items, "Assembler: item {} of {}", row.item, items);
  }

  int64_t users, items, clicks;
  SidePlan user, item, pair;
};

Assembler::Assembler(const Dataset& dataset) : plan_(std::make_shared<Plan>(dataset)) {}

void Assembler::users(std::span<const UserMoment> rows, SideBatch& out,
                      std::optional<Dropout> dropout) const {
  plan_->check_rows(rows);
  const auto row_at = [&](size_t r) {
    return FeatureRow{.user = rows[r].user, .time = rows[r].time, .click = rows[r].click};
  };
  plan_->user.fill(rows.size(), row_at, out, dropout);
}

void Assembler::items(std::span<const ItemMoment> rows, SideBatch& out,
                      std::optional<Dropout> dropout) const {
  plan_->check_rows(rows);
  const auto row_at = [&](size_t r) {
    return FeatureRow{.item = rows[r].item, .time = rows[r].time};
  };
  plan_->item.fill(rows.size(), row_at, out, dropout);
}

void Assembler::pairs(std::span<const UserMoment> users, std::span<const ItemMoment> items,
                      SideBatch& out) const {
  check(users.size() == items.size(), "Assembler: {} users and {} items of pairs", users.size(),
        items.size());
  plan_->check_rows(users);
  plan_->check_rows(items);
  const auto row_at = [&](size_t r) {
    return FeatureRow{users[r].user, items[r].item, users[r].time, users[r].click};
  };
  plan_->pair.fill(users.size(), row_at, out, std::nullopt);
}

}  // namespace retort
