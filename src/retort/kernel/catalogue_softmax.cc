#include "retort/kernel/catalogue_softmax.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <mutex>
#include <numbers>

#include "retort/common/error.h"
#include "retort/common/thread_pool.h"
#include "retort/kernel/catalogue_input.h"
#include "retort/kernel/catalogue_worker.h"
#include "retort/kernel/dense.h"
#include "retort/kernel/softmax_rows.h"

// The items are cut into chunks, the unit of parallel work, by N alone; a chunk takes its blocks of
// items one after another and for each all tiles of rows. What chunks add up they add to partial
// results of their own, which are then added in the order of the chunks.
namespace retort {
namespace {

// A tile's logits (256 KiB) and what multiplies them stay in a second-level cache of 1 MiB.
constexpr int64_t kTileRows = 128, kTileItems = 512;
constexpr int64_t kLanes = 16;
constexpr int64_t kChunks = 32;
constexpr int64_t kPartialBytes = int64_t{32} << 20;  // of the users' gradient, all chunks together
constexpr float kLog2E = std::numbers::log2e_v<float>;

float factor_of(const CatalogueSoftmaxInput& in, int64_t row) {
  const auto r = static_cast<size_t>(row);
  return (in.weight.empty() ? 1.0f : in.weight[r]) * (in.reward.empty() ? 1.0f : in.reward[r]);
}

float bias_of(const CatalogueSoftmaxInput& in, int64_t item) {
  return in.log_q.empty() ? 0.0f : -in.log_q[static_cast<size_t>(item)] * kLog2E;
}

bool excluded_for_all(const CatalogueSoftmaxInput& in, int64_t item) {
  return !in.excluded.empty() && (in.excluded[static_cast<size_t>(item / 64)] >> (item % 64) & 1);
}

void widen(const Bf16* from, int64_t n, float* to) {
  for (int64_t i = 0; i < n; ++i) to[i] = std::bit_cast<float>(uint32_t{from[i]} << 16);
}

}  // namespace

class CatalogueSoftmax::Impl {
 public:
  explicit Impl(Precision precision) : precision_(resolve(precision)) {}
  Precision precision() const { return precision_; }

  void forward(const CatalogueSoftmaxInput& in, std::span<float> loss,
               CatalogueSoftmaxState& state) {
    begin(in);
    check(static_cast<int64_t>(loss.size()) == rows_, "CatalogueSoftmax: {} losses for {} rows",
          loss.size(), rows_);
    for (std::vector<float>* of : {&state.max, &state.sum, &state.target})
      of->resize(static_cast<size_t>(rows_));
    for (int64_t first = 0; first < rows_; first += pass_rows_) {
      load_users(first);
      find_targets(state);
      auto* partial = partial_.reserve<float>(2 * chunks_ * count_ * bytes_of<float>());
      over_chunks([&](int64_t chunk, Worker& worker) {
        forward_chunk(chunk, worker, partial + 2 * chunk * count_);
      });
      merge(partial, state);
    }
    for (int64_t r = 0; r < rows_; ++r)
      loss[static_cast<size_t>(r)] = loss_of(state, static_cast<size_t>(r)) * factor_of(in, r);
  }

  void backward(const CatalogueSoftmaxInput& in, const CatalogueSoftmaxState& state,
                std::span<const float> loss_gradient, std::span<float> user_gradient,
                std::span<float> item_gradient) {
    begin(in);
    check(static_cast<int64_t>(state.max.size()) == rows_ &&
              (loss_gradient.empty() || static_cast<int64_t>(loss_gradient.size()) == rows_),
          "CatalogueSoftmax: state of {} and gradient of {} rows, expected {}", state.max.size(),
          loss_gradient.size(), rows_);
    check(user_gradient.size() == in.users.size() &&
              static_cast<int64_t>(item_gradient.size()) == items_ * dim(),
          "CatalogueSoftmax: gradients of {} and {} floats do not fit [{}, {}] and [{}, {}]",
          user_gradient.size(), item_gradient.size(), rows_, dim(), items_, dim());
    if (rows_ == 0) std::fill(item_gradient.begin(), item_gradient.end(), 0.0f);
    for (int64_t first = 0; first < rows_; first += pass_rows_) {
      load_users(first);
      pack_users();
      find_coefficients(state, loss_gradient);
      const int64_t partial_size = tiles() * tile_rows() * dim();
      auto* partial = partial_.reserve<float>(chunks_ * partial_size * bytes_of<float>());
      over_chunks([&](int64_t chunk, Worker& worker) {
        backward_chunk(chunk, worker, state, partial + chunk * partial_size, item_gradient);
      });
      add_partials(partial, partial_size, user_gradient);
    }
  }

  size_t buffer_bytes() const {
    int64_t bytes = partial_.size() + users_.size() + packed_users_.size() +
                    static_cast<int64_t>(coefficients_.capacity()) * bytes_of<float>();
    for (const auto& worker : workers_) bytes += worker->size();
    return static_cast<size_t>(bytes);
  }

 private:
  template <class T>
  static constexpr int64_t bytes_of() {
    return static_cast<int64_t>(sizeof(T));
  }
  int64_t dim() const { return in_->dim; }
  int64_t tile_rows() const { return plan_->shape().rows; }
  int64_t tile_items() const { return plan_->shape().items; }
  int64_t tiles() const { return (count_ + tile_rows() - 1) / tile_rows(); }
  int64_t element() const { return precision_ == Precision::kBf16 ? 2 : 4; }
  float scale() const { return kLog2E / in_->temperature; }
  const char* users_of(int64_t tile) const {
    return users_.get<char>() + tile * tile_rows() * dim() * element();
  }

  /// Plans the call: shapes of tiles, chunks and passes.
  void begin(const CatalogueSoftmaxInput& in) {
    check_catalogue_input(in);
    in_ = &in;
    rows_ = static_cast<int64_t>(in.targets.size());
    items_ = catalogue_items(in);
    const TileShape shape{.rows = std::min(kTileRows, round_up(std::max<int64_t>(rows_, 1), 16)),
                          .items = std::min(kTileItems, round_up(items_, kLanes)),
                          .dim = in.dim,
                          .precision = precision_};
    auto known = std::find_if(plans_.begin(), plans_.end(),
                              [&](const auto& plan) { return plan->shape() == shape; });
    if (known == plans_.end()) known = plans_.insert(known, std::make_unique<TileProducts>(shape));
    plan_ = known->get();
    blocks_ = (items_ + shape.items - 1) / shape.items;
    chunks_ = std::min(kChunks, blocks_);
    const int64_t fitting = kPartialBytes / (chunks_ * in.dim * bytes_of<float>());
    pass_rows_ = std::max(shape.rows, fitting / shape.rows * shape.rows);
    reserve_workers();
  }

  /// One for every thread, so that which of them does what changes no buffer.
  void reserve_workers() {
    const auto wanted = static_cast<size_t>(std::min<int64_t>(threads(), chunks_));
    while (workers_.size() < wanted) workers_.push_back(std::make_unique<Worker>());
    idle_.clear();
    for (const auto& worker : workers_) {
      worker->reserve(*plan_);
      idle_.push_back(worker.get());
    }
  }

  /// Rows [first, first + count_) as the products take them, zeros up to a whole tile.
  void load_users(int64_t first) {
    first_ = first;
    count_ = std::min(pass_rows_, rows_ - first);
    const int64_t size = count_ * dim(), padded = tiles() * tile_rows() * dim();
    auto* to = users_.reserve<char>(padded * element());
    const float* from = in_->users.data() + first * dim();
    if (precision_ == Precision::kBf16)
      kernels_.round(from, size, reinterpret_cast<Bf16*>(to));
    else
      std::memcpy(to, from, static_cast<size_t>(size * element()));
    std::memset(to + size * element(), 0, static_cast<size_t>((padded - size) * element()));
  }

  void pack_users() {
    const auto size = static_cast<int64_t>(plan_->users_size());
    auto* to = packed_users_.reserve<char>(tiles() * packed_tile());
    const OneThread one;
    Worker& worker = take();
    auto* scratch = worker.scratch.get<void>();
    for (int64_t tile = 0; tile < tiles(); ++tile)
      plan_->pack_users(users_of(tile), to + tile * round_up(size, 64), scratch);
    give(worker);
  }
  int64_t packed_tile() const { return round_up(static_cast<int64_t>(plan_->users_size()), 64); }

  /// The logit of each row's target, from the numbers that the products see.
  void find_targets(CatalogueSoftmaxState& state) {
    parallel_for(0, count_, 64, [&](int64_t begin, int64_t end) {
      std::vector<float> user(static_cast<size_t>(dim())), item(user);
      std::vector<Bf16> rounded(user.size());
      for (int64_t r = begin; r < end; ++r) {
        const auto row = static_cast<size_t>(first_ + r);
        const int64_t target = in_->targets[row];
        if (!in_->items_bf16.empty())
          widen(in_->items_bf16.data() + target * dim(), dim(), item.data());
        else
          std::copy_n(in_->items.data() + target * dim(), dim(), item.data());
        std::copy_n(in_->users.data() + (first_ + r) * dim(), dim(), user.data());
        if (precision_ == Precision::kBf16)
          for (std::vector<float>* vector : {&user, &item}) {
            kernels_.round(vector->data(), dim(), rounded.data());
            widen(rounded.data(), dim(), vector->data());
          }
        state.target[row] = dot(user.data(), item.data(), dim()) * scale() + bias_of(*in_, target);
      }
    });
  }

  /// The derivative of the whole by each row's logits, but for their softmax.
  void find_coefficients(const CatalogueSoftmaxState& state, std::span<const float> gradient) {
    coefficients_.resize(static_cast<size_t>(count_));
    for (int64_t r = 0; r < count_; ++r) {
      const auto row = static_cast<size_t>(first_ + r);
      const float sum = state.sum[row] + std::exp2(state.target[row] - state.max[row]);
      coefficients_[static_cast<size_t>(r)] = factor_of(*in_, first_ + r) *
                                              (gradient.empty() ? 1.0f : gradient[row]) /
                                              (in_->temperature * sum);
    }
  }

  template <class Body>
  void over_chunks(const Body& body) {
    parallel_for(0, chunks_, 1, [&](int64_t begin, int64_t end) {
      const OneThread one;
      Worker& worker = take();
      for (int64_t chunk = begin; chunk < end; ++chunk) body(chunk, worker);
      give(worker);
    });
  }

  /// A worker that nobody uses.
  Worker& take() {
    const std::lock_guard lock(mutex_);
    check(!idle_.empty(), "CatalogueSoftmax: more threads than at the call's beginning");
    Worker& worker = *idle_.back();
    idle_.pop_back();
    return worker;
  }
  void give(Worker& worker) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(&worker);
  }

  int64_t block_begin(int64_t chunk) const { return blocks_ * chunk / chunks_; }
  int64_t first_item(int64_t block) const { return block * tile_items(); }
  int64_t block_items(int64_t block) const {
    return std::min(tile_items(), items_ - first_item(block));
  }

  /// The block's items as the products take them, zeros up to a whole tile; from the input itself
  /// where that is the same.
  const void* plain_items(int64_t block, Worker& worker) const {
    const int64_t begin = first_item(block) * dim(), size = block_items(block) * dim();
    const int64_t padded = tile_items() * dim();
    const bool from_bf16 = !in_->items_bf16.empty(), to_bf16 = precision_ == Precision::kBf16;
    if (from_bf16 == to_bf16 && size == padded)
      return from_bf16 ? static_cast<const void*>(in_->items_bf16.data() + begin)
                       : static_cast<const void*>(in_->items.data() + begin);
    auto* to = worker.items.get<char>();
    if (from_bf16 && !to_bf16)
      widen(in_->items_bf16.data() + begin, size, reinterpret_cast<float*>(to));
    else if (to_bf16 && !from_bf16)
      kernels_.round(in_->items.data() + begin, size, reinterpret_cast<Bf16*>(to));
    else if (to_bf16)
      std::memcpy(to, in_->items_bf16.data() + begin, static_cast<size_t>(size * element()));
    else
      std::memcpy(to, in_->items.data() + begin, static_cast<size_t>(size * element()));
    std::memset(to + size * element(), 0, static_cast<size_t>((padded - size) * element()));
    return to;
  }

  void load_block(int64_t block, Worker& worker, bool for_gradient) const {
    const void* items = plain_items(block, worker);
    auto* scratch = worker.scratch.get<void>();
    plan_->pack_logit_items(items, worker.logit_items.get<void>(), scratch);
    if (for_gradient) plan_->pack_gradient_items(items, worker.gradient_items.get<void>(), scratch);
    auto* bias = worker.bias.get<float>();
    for (int64_t i = 0; i < tile_items(); ++i) {
      const int64_t item = first_item(block) + i;
      bias[i] = item >= items_ || excluded_for_all(*in_, item) ? kNoLogit : bias_of(*in_, item);
    }
  }

  int64_t rows_of(int64_t tile) const { return std::min(tile_rows(), count_ - tile * tile_rows()); }

  /// The tile's products <x, v>; a row's target and what is excluded for the row get kNoLogit.
  float* tile_logits(int64_t block, int64_t tile, Worker& worker) const {
    auto* logits = worker.logits.get<float>();
    plan_->logits(users_of(tile), worker.logit_items.get<void>(), logits,
                  worker.scratch.get<void>());
    const int64_t begin = first_item(block), end = begin + tile_items();
    for (int64_t r = 0; r < rows_of(tile); ++r) {
      const auto row = static_cast<size_t>(first_ + tile * tile_rows() + r);
      float* of_row = logits + r * tile_items() - begin;
      if (in_->targets[row] >= begin && in_->targets[row] < end)
        of_row[in_->targets[row]] = kNoLogit;
      if (in_->row_offsets.empty()) continue;
      const int32_t* last = in_->row_items.data() + in_->row_offsets[row + 1];
      const int32_t* at = std::lower_bound(in_->row_items.data() + in_->row_offsets[row], last,
                                           static_cast<int32_t>(begin));
      for (; at != last && *at < end; ++at) of_row[*at] = kNoLogit;
    }
    return logits;
  }

  /// partial[2 row], partial[2 row + 1]: maximum and sum over the chunk's items but the target.
  void forward_chunk(int64_t chunk, Worker& worker, float* partial) const {
    for (int64_t r = 0; r < count_; ++r) {
      partial[2 * r] = kNoLogit;
      partial[2 * r + 1] = 0;
    }
    for (int64_t block = block_begin(chunk); block < block_begin(chunk + 1); ++block) {
      load_block(block, worker, false);
      for (int64_t tile = 0; tile < tiles(); ++tile) {
        float* logits = tile_logits(block, tile, worker);
        for (int64_t r = 0; r < rows_of(tile); ++r)
          add_row(logits + r * tile_items(), worker, partial + 2 * (tile * tile_rows() + r));
      }
    }
  }

  void add_row(float* logits, const Worker& worker, float* partial) const {
    float max = 0, sum = 0;
    kernels_.max_sum(logits, worker.bias.get<float>(), scale(), tile_items(), max, sum);
    if (max > partial[0]) {
      partial[1] = partial[1] * std::exp2(partial[0] - max) + sum;
      partial[0] = max;
    } else {
      partial[1] += sum * std::exp2(max - partial[0]);
    }
  }

  void merge(const float* partial, CatalogueSoftmaxState& state) const {
    for (int64_t r = 0; r < count_; ++r) {
      const auto row = static_cast<size_t>(first_ + r);
      const auto part = [&](int64_t chunk) { return partial + 2 * (chunk * count_ + r); };
      float max = state.target[row];
      for (int64_t chunk = 0; chunk < chunks_; ++chunk) max = std::max(max, part(chunk)[0]);
      double sum = 0;
      for (int64_t chunk = 0; chunk < chunks_; ++chunk)
        sum += static_cast<double>(part(chunk)[1]) *
               std::exp2(static_cast<double>(part(chunk)[0]) - static_cast<double>(max));
      state.max[row] = max;
      state.sum[row] = static_cast<float>(sum);
    }
  }

  /// Exact also where the target has nearly all the probability.
  static float loss_of(const CatalogueSoftmaxState& state, size_t row) {
    const double below =
        static_cast<double>(state.max[row]) - static_cast<double>(state.target[row]);
    const double others = state.sum[row];
    if (below == 0) return static_cast<float>(std::log1p(others));
    return static_cast<float>(below * std::numbers::ln2 + std::log(others + std::exp2(-below)));
  }

  void backward_chunk(int64_t chunk, Worker& worker, const CatalogueSoftmaxState& state,
                      float* user_sum, std::span<float> item_gradient) const {
    std::fill_n(user_sum, tiles() * tile_rows() * dim(), 0.0f);
    for (int64_t block = block_begin(chunk); block < block_begin(chunk + 1); ++block) {
      load_block(block, worker, true);
      float* own = item_gradient.data() + first_item(block) * dim();
      const int64_t size = block_items(block) * dim();
      const bool whole = block_items(block) == tile_items();
      float* sum =
          whole ? own : worker.item_sum.reserve<float>(tile_items() * dim() * bytes_of<float>());
      if (!whole || first_ == 0) std::fill_n(sum, tile_items() * dim(), 0.0f);
      for (int64_t tile = 0; tile < tiles(); ++tile) {
        const void* gradient = tile_gradient(block, tile, worker, state);
        plan_->user_gradient(gradient, worker.gradient_items.get<void>(),
                             user_sum + tile * tile_rows() * dim(), worker.scratch.get<void>());
        plan_->item_gradient(gradient, packed_users_.get<char>() + tile * packed_tile(), sum,
                             worker.scratch.get<void>());
      }
      if (whole) continue;
      for (int64_t i = 0; i < size; ++i) own[i] = first_ == 0 ? sum[i] : own[i] + sum[i];
    }
  }

  /// Derivatives by the tile's products <x, v>; 0 in the rows that fill up the last tile.
  const void* tile_gradient(int64_t block, int64_t tile, Worker& worker,
                            const CatalogueSoftmaxState& state) const {
    const float* logits = tile_logits(block, tile, worker);
    const auto* bias = worker.bias.get<float>();
    auto* gradient = worker.gradient.get<char>();
    const int64_t row_bytes = tile_items() * element();
    for (int64_t r = 0; r < rows_of(tile); ++r) {
      const auto in_pass = static_cast<size_t>(tile * tile_rows() + r);
      const size_t row = static_cast<size_t>(first_) + in_pass;
      const float coefficient = coefficients_[in_pass], *x = logits + r * tile_items();
      char* to = gradient + r * row_bytes;
      const int64_t target = in_->targets[row] - first_item(block);
      const bool here = target >= 0 && target < tile_items();
      const float of_target = -coefficient * state.sum[row];  // coefficient (p - 1) sum
      if (precision_ == Precision::kBf16) {
        auto* out = reinterpret_cast<Bf16*>(to);
        kernels_.gradient_bf16(x, bias, scale(), state.max[row], coefficient, tile_items(), out);
        if (here) kernels_.round(&of_target, 1, out + target);
      } else {
        auto* out = reinterpret_cast<float*>(to);
        kernels_.gradient(x, bias, scale(), state.max[row], coefficient, tile_items(), out);
        if (here) out[target] = of_target;
      }
    }
    std::memset(gradient + rows_of(tile) * row_bytes, 0,
                static_cast<size_t>((tile_rows() - rows_of(tile)) * row_bytes));
    return gradient;
  }

  void add_partials(const float* partial, int64_t partial_size, std::span<float> user_gradient) {
    float* to = user_gradient.data() + first_ * dim();
    parallel_for(0, count_ * dim(), 1 << 14, [&](int64_t begin, int64_t end) {
      std::copy(partial + begin, partial + end, to + begin);
      for (int64_t chunk = 1; chunk < chunks_; ++chunk) {
        const float* from = partial + chunk * partial_size;
        for (int64_t i = begin; i < end; ++i) to[i] += from[i];
      }
    });
  }

  const Precision precision_;
  const SoftmaxRowKernels& kernels_ = softmax_row_kernels();
  std::vector<std::unique_ptr<TileProducts>> plans_;
  Buffer partial_, users_, packed_users_;
  std::vector<float> coefficients_;
  std::mutex mutex_;  // of the two below
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<Worker*> idle_;

  // Of the call at hand; first_ and count_ of its pass.
  const CatalogueSoftmaxInput* in_ = nullptr;
  const TileProducts* plan_ = nullptr;
  int64_t rows_ = 0, items_ = 0, blocks_ = 0, chunks_ = 0, pass_rows_ = 0;
  int64_t first_ = 0, count_ = 0;
};

CatalogueSoftmax::CatalogueSoftmax(Precision precision)
    : impl_(std::make_unique<Impl>(precision)) {}
CatalogueSoftmax::~CatalogueSoftmax() = default;

Precision CatalogueSoftmax::precision() const { return impl_->precision(); }

void CatalogueSoftmax::forward(const CatalogueSoftmaxInput& input, std::span<float> loss,
                               CatalogueSoftmaxState& state) {
  impl_->forward(input, loss, state);
}

void CatalogueSoftmax::backward(const CatalogueSoftmaxInput& input,
                                const CatalogueSoftmaxState& state,
                                std::span<const float> loss_gradient,
                                std::span<float> user_gradient, std::span<float> item_gradient) {
  impl_->backward(input, state, loss_gradient, user_gradient, item_gradient);
}

size_t CatalogueSoftmax::buffer_bytes() const { return impl_->buffer_bytes(); }

}  // namespace retort
