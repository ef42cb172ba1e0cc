#include "retort/encoder/tower_encoder.h"

#include <algorithm>
#include <array>
#include <utility>

#include "retort/bundle/table_storage.h"
#include "retort/common/error.h"
#include "retort/common/thread_pool.h"
#include "retort/kernel/dense.h"
#include "retort/kernel/pool.h"

namespace retort {
namespace {

constexpr int64_t kRows = 256;  // rows taken through all layers at once

struct Layer {
  PackedMatrix weight;
  std::span<const float> bias;
};

struct Field {
  RowTable table;
  Pooling pooling = Pooling::kMean;
  size_t sparse = 0;  // position in SideBatch::sparse
};

/// One tower with its weights.
class Tower {
 public:
  Tower(const TowerSpec& spec, const SafetensorsFile& weights) : name_(spec.name) {
    for (size_t i = 0; i < spec.input.fields.size(); ++i) {
      const FieldSpec& field = spec.input.fields[i];
      fields_.push_back({stored_table(weights, field),
                         field.pooling == "sum" ? Pooling::kSum : Pooling::kMean,
                         static_cast<size_t>(spec.input.sparse_index[i])});
    }
    dense_width_ = spec.input.dense_width;
    int64_t in = width_ = spec.input.width();
    for (size_t i = 0; i < spec.layers.size(); ++i) {
      const int64_t out = spec.layers[i];
      const std::string layer = fmt::format("{}.layer{}", spec.name, i);
      layers_.push_back(
          {PackedMatrix(weights.floats(layer + ".weight", std::array{out, in}), out, in),
           weights.floats(layer + ".bias", std::array{out})});
      in = out;
    }
  }

  void encode(const SideBatch& batch, std::span<float> out) const {
    const int64_t dim = layers_.back().weight.rows();
    check_batch(batch, std::ssize(out), dim);
    parallel_for(0, batch.rows, 16, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; row += kRows) {
        const int64_t rows = std::min(kRows, end - row);
        encode_rows(batch, row, rows,
                    out.subspan(static_cast<size_t>(row * dim), static_cast<size_t>(rows * dim)));
      }
    });
  }

 private:
  void check_batch(const SideBatch& batch, int64_t out, int64_t dim) const {
    check(out == batch.rows * dim, "{} tower: output of {} floats is not [{}, {}]", name_, out,
          batch.rows, dim);
    check(std::ssize(batch.dense) == batch.rows * dense_width_ || dense_width_ == 0,
          "{} tower: {} dense values are not [{}, {}]", name_, batch.dense.size(), batch.rows,
          dense_width_);
    for (const Field& field : fields_)
      check(field.sparse < batch.sparse.size() &&
                std::ssize(batch.sparse[field.sparse].offsets) == batch.rows + 1,
            "{} tower: sparse feature {} does not cover {} rows", name_, field.sparse, batch.rows);
  }

  void encode_rows(const SideBatch& batch, int64_t row, int64_t rows, std::span<float> out) const {
    std::vector<float> x(static_cast<size_t>(rows * width_)), next;
    int64_t column = 0;
    for (const Field& field : fields_) {
      const SparseColumn& ids = batch.sparse[field.sparse];
      gather_pool(
          field.table, ids.ids,
          std::span(ids.offsets).subspan(static_cast<size_t>(row), static_cast<size_t>(rows) + 1),
          field.pooling, std::span(x).subspan(static_cast<size_t>(column)), width_);
      column += field.table.dim;
    }
    if (dense_width_ > 0)
      for (int64_t r = 0; r < rows; ++r)
        std::copy_n(batch.dense.begin() + (row + r) * dense_width_, dense_width_,
                    x.begin() + r * width_ + column);
    for (size_t i = 0; i + 1 < layers_.size(); ++i) {
      next.resize(static_cast<size_t>(rows * layers_[i].weight.rows()));
      dense_forward(x, layers_[i].weight, layers_[i].bias, true, next);
      std::swap(x, next);
    }
    dense_forward(x, layers_.back().weight, layers_.back().bias, false, out);
  }

  std::string name_;
  std::vector<Field> fields_;
  int64_t dense_width_ = 0, width_ = 0;
  std::vector<Layer> layers_;
};

}  // namespace

struct TowerEncoder::State {
  State(ModelSpec model, std::shared_ptr<const SafetensorsFile> file)
      : spec(std::move(model)),
        weights(std::move(file)),
        user(spec.user, *weights),
        item(spec.item, *weights) {}
  ModelSpec spec;
  std::shared_ptr<const SafetensorsFile> weights;
  Tower user, item;
};

TowerEncoder::TowerEncoder(ModelSpec spec, std::shared_ptr<const SafetensorsFile> weights) {
  check(!spec.user.layers.empty() && !spec.item.layers.empty(), "a tower without layers");
  check(spec.user.layers.back() == spec.item.layers.back(),
        "towers of width {} and {} have no inner product", spec.user.layers.back(),
        spec.item.layers.back());
  state_ = std::make_unique<State>(std::move(spec), std::move(weights));
}

TowerEncoder::~TowerEncoder() = default;

int32_t TowerEncoder::dim() const { return state_->spec.dim(); }

void TowerEncoder::encode_users(const SideBatch& users, std::span<float> out) const {
  state_->user.encode(users, out);
}

void TowerEncoder::encode_items(const SideBatch& items, std::span<float> out) const {
  state_->item.encode(items, out);
}

}  // namespace retort
