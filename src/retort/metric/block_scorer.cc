#include "retort/metric/block_scorer.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "retort/common/error.h"
#include "retort/dataset/assembler.h"
#include "retort/kernel/near_product.h"

namespace retort {
namespace {

constexpr int64_t kUserBatch = 2048;  // events whose users are encoded in one call, at least
constexpr int64_t kItemBatch = 8192;  // items encoded in one call

void check_finite(std::span<const float> vectors, int64_t dim, const char* what) {
  for (size_t at = 0; at < vectors.size(); ++at) {
    if (!std::isfinite(vectors[at])) {
      fail<Error>(
          "catalogue: the {} tower gives {} in dimension {}: the model has diverged; train "
          "again with a smaller learning rate or clipping",
          what, vectors[at], static_cast<int64_t>(at) % dim);
    }
  }
}

class TowerScorer : public BlockScorer {
 public:
  TowerScorer(const Dataset& dataset, const Towers& towers)
      : towers_(towers),
        dim_(towers.dim()),
        assembler_(dataset),
        moving_(has_moving_items(dataset.schema())) {}

  void expect(std::span<const JudgedEvent> events) override { events_ = events; }
  bool moving() const override { return moving_; }

  void start(std::span<const int32_t> candidates, int64_t moment) override {
    if (!moving_ && std::ranges::equal(candidates, encoded_)) return;
    const int64_t count = static_cast<int64_t>(candidates.size());
    items_.resize(count * dim_);
    if (moving_) {
      encode_items(candidates, moment, items_);
    } else {
      encode_missing(candidates, moment);
      for (int64_t at = 0; at < count; ++at) {
        std::copy_n(all_vectors_.begin() + row_of_[candidates[at]] * dim_, dim_,
                    items_.begin() + at * dim_);
      }
    }
    near_ = NearMatrix(items_, dim_);
    find_twins(count);
    encoded_.assign(candidates.begin(), candidates.end());
  }

  void prepare(int64_t first, int64_t count) override {
    if (first < users_begin_ || first + count > users_end_) encode_users(first, count);
    prepared_ = std::span(users_).subspan((first - users_begin_) * dim_, count * dim_);
    queries_ = near_.prepare(prepared_);
  }

  /// Vectors of both and the scores between them fit the second-level cache.
  Tile tile() const override { return {128, 256}; }

  void score(int64_t first, int64_t count, int64_t begin, int64_t end, float* out,
             int64_t stride) const override {
    near_.multiply(queries_, first, count, begin, end, out, stride);
  }
  float margin(int64_t event) const override { return queries_.margin[event]; }
  float exact(int64_t event, int64_t candidate) const override {
    return dot(prepared_.data() + event * dim_, items_.data() + candidate * dim_, dim_);
  }
  int32_t twin(int64_t candidate) const override { return twins_[candidate]; }

 private:
  /// Encodes at least `count` users and, so that calls stay large, some of the next groups'.
  void encode_users(int64_t first, int64_t count) {
    users_begin_ = first;
    users_end_ =
        std::min(static_cast<int64_t>(events_.size()), first + std::max(count, kUserBatch));
    std::vector<UserMoment> rows;
    for (int64_t at = users_begin_; at < users_end_; ++at) {
      rows.push_back({events_[at].user, events_[at].time, events_[at].scored});
    }
    SideBatch batch;
    assembler_.users(rows, batch);
    users_.resize(rows.size() * dim_);
    towers_.encode_users(batch, users_);
    check_finite(users_, dim_, "user");
  }

  void encode_items(std::span<const int32_t> items, int64_t moment, std::span<float> out) const {
    const int64_t count = static_cast<int64_t>(items.size());
    std::vector<ItemMoment> rows;
    SideBatch batch;
    for (int64_t begin = 0; begin < count; begin += kItemBatch) {
      const int64_t end = std::min(count, begin + kItemBatch);
      rows.clear();
      for (int64_t at = begin; at < end; ++at) rows.push_back({items[at], moment});
      assembler_.items(rows, batch);
      towers_.encode_items(batch, out.subspan(begin * dim_, (end - begin) * dim_));
    }
    check_finite(out, dim_, "item");
  }

  /// Items that do not move are encoded when they are first a candidate, and kept.
  void encode_missing(std::span<const int32_t> items, int64_t moment) {
    const int32_t largest = items.empty() ? -1 : *std::max_element(items.begin(), items.end());
    if (static_cast<int64_t>(row_of_.size()) <= largest) row_of_.resize(largest + 1, -1);
    std::vector<int32_t> missing;
    for (const int32_t item : items) {
      if (row_of_[item] >= 0) continue;
      row_of_[item] = known_ + static_cast<int64_t>(missing.size());
      missing.push_back(item);
    }
    all_vectors_.resize((known_ + missing.size()) * dim_);
    encode_items(missing, moment, std::span(all_vectors_).subspan(known_ * dim_));
    known_ += static_cast<int64_t>(missing.size());
  }

  /// Items of one vector, such as all that training never saw, need one exact score.
  void find_twins(int64_t count) {
    std::unordered_map<std::string_view, int32_t> first;
    twins_.resize(count);
    for (int64_t at = 0; at < count; ++at) {
      const std::string_view bytes(reinterpret_cast<const char*>(items_.data() + at * dim_),
                                   dim_ * sizeof(float));
      twins_[at] = first.try_emplace(bytes, static_cast<int32_t>(at)).first->second;
    }
  }

  const Towers& towers_;
  int64_t dim_;
  Assembler assembler_;
  bool moving_;
  std::span<const JudgedEvent> events_;
  std::vector<float> users_;  // vectors of events_[users_begin_, users_end_)
  int64_t users_begin_ = 0, users_end_ = 0;
  std::span<const float> prepared_;  // of users_
  NearMatrix::Queries queries_;      // of prepared_
  std::vector<int32_t> encoded_;     // candidates
  std::vector<float> items_;         // their vectors
  NearMatrix near_;                  // of items_
  std::vector<int32_t> twins_;
  std::vector<float> all_vectors_;
  std::vector<int64_t> row_of_;  // item to row of all_vectors_, -1 = not encoded
  int64_t known_ = 0;
};

class FunctionScorer : public BlockScorer {
 public:
  explicit FunctionScorer(const CandidateScorer& score) : score_(score) {}
  void expect(std::span<const JudgedEvent> events) override { events_ = events; }
  bool moving() const override { return false; }
  void start(std::span<const int32_t> candidates, int64_t) override { candidates_ = candidates; }
  void prepare(int64_t first, int64_t) override { first_ = first; }
  Tile tile() const override { return {1, static_cast<int64_t>(candidates_.size())}; }
  void score(int64_t first, int64_t, int64_t, int64_t, float* out, int64_t) const override {
    const int64_t click = events_[first_ + first].scored;
    const std::span<float> row(out, candidates_.size());
    score_(click, candidates_, row);
    check(std::none_of(row.begin(), row.end(), [](float x) { return std::isnan(x); }),
          "catalogue: a score of the event at click {} is not a number", click);
  }
  float margin(int64_t) const override { return 0; }
  float exact(int64_t, int64_t) const override { fail<Error>("scores are exact as they are"); }
  int32_t twin(int64_t candidate) const override { return static_cast<int32_t>(candidate); }

 private:
  const CandidateScorer& score_;
  std::span<const JudgedEvent> events_;
  std::span<const int32_t> candidates_;
  int64_t first_ = 0;
};

}  // namespace

std::unique_ptr<BlockScorer> make_tower_scorer(const Dataset& dataset, const Towers& towers) {
  return std::make_unique<TowerScorer>(dataset, towers);
}

std::unique_ptr<BlockScorer> make_function_scorer(const CandidateScorer& score) {
  return std::make_unique<FunctionScorer>(score);
}

}  // namespace retort
