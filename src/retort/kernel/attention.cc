#include "retort/kernel/attention.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "retort/common/error.h"
#include "retort/kernel/clones.h"
#include "retort/kernel/softmax_rows.h"

namespace retort {
namespace {

constexpr int64_t kLanes = 16;  // the softmax of a row takes multiples of it

/// One head of one row of steps: pointers to its first query, key and value.
struct Head {
  const float *query, *key, *value;
  int64_t stride;  // of all three
  int64_t steps, dim;
};

/// to[d * padded + s] = from[s * stride + d]: products with one query are then sums of rows of
/// `to`.
RETORT_CLONES void transpose(const float* from, const Head& head, int64_t padded, float* to) {
  for (int64_t step = 0; step < head.steps; ++step)
    for (int64_t d = 0; d < head.dim; ++d) to[d * padded + step] = from[step * head.stride + d];
}

RETORT_CLONES void scores_of(const float* query, const float* keys, int64_t dim, int64_t padded,
                             float* scores) {
  std::fill(scores, scores + padded, 0.0f);
  for (int64_t d = 0; d < dim; ++d) {
    const float factor = query[d];
    const float* row = keys + d * padded;
    for (int64_t step = 0; step < padded; ++step) scores[step] += factor * row[step];
  }
}

/// out = the sum over steps of weights[s] * from[s * stride ..].
RETORT_CLONES void weighted_sum(const float* weights, const float* from, const Head& head,
                                float* out) {
  std::fill(out, out + head.dim, 0.0f);
  for (int64_t step = 0; step < head.steps; ++step) {
    const float* row = from + step * head.stride;
    for (int64_t d = 0; d < head.dim; ++d) out[d] += weights[step] * row[d];
  }
}

/// to[s * stride ..] += weights[s] * row, for every step.
RETORT_CLONES void add_weighted(const float* weights, const float* row, const Head& head,
                                float* to) {
  for (int64_t step = 0; step < head.steps; ++step) {
    float* out = to + step * head.stride;
    for (int64_t d = 0; d < head.dim; ++d) out[d] += weights[step] * row[d];
  }
}

/// From the gradient of the weights that of the scores before scaling, in place:
/// weights * (gradient - <weights, gradient>) * scale.
RETORT_CLONES void score_gradient(const float* weights, float scale, int64_t padded,
                                  float* gradient) {
  float inner = 0;
  for (int64_t step = 0; step < padded; ++step) inner += weights[step] * gradient[step];
  for (int64_t step = 0; step < padded; ++step)
    gradient[step] = weights[step] * (gradient[step] - inner) * scale;
}

/// The weights of one head's steps, a query at a time; room grows to the longest row.
class AttentionWeights {
 public:
  void take(const Head& head) {
    head_ = &head;
    padded_ = (head.steps + kLanes - 1) / kLanes * kLanes;
    keys_.assign(static_cast<size_t>(padded_ * head.dim), 0.0f);
    weights_.resize(static_cast<size_t>(padded_));
    none_.assign(static_cast<size_t>(padded_), 0.0f);
    transpose(head.key, head, padded_, keys_.data());
  }
  /// softmax(query K^T / sqrt(dim)) of a step's query: [padded], 0 behind the steps.
  const float* of(int64_t step) {
    const SoftmaxRowKernels& softmax = softmax_row_kernels();
    const float scale = std::numbers::log2e_v<float> / std::sqrt(static_cast<float>(head_->dim));
    float* weights = weights_.data();
    scores_of(head_->query + step * head_->stride, keys_.data(), head_->dim, padded_, weights);
    std::fill(weights + head_->steps, weights + padded_, kNoLogit);
    float max = 0, sum = 0;
    softmax.max_sum(weights, none_.data(), scale, padded_, max, sum);
    softmax.gradient(weights, none_.data(), 1, max, 1 / sum, padded_, weights);
    return weights;
  }
  int64_t padded() const { return padded_; }

 private:
  const Head* head_ = nullptr;
  int64_t padded_ = 0;
  std::vector<float> keys_, weights_, none_;
};

void attend(const Head& head, AttentionWeights& weights, float* out, int64_t out_stride) {
  weights.take(head);
  for (int64_t step = 0; step < head.steps; ++step)
    weighted_sum(weights.of(step), head.value, head, out + step * out_stride);
}

/// Room of the gradient of one head.
struct GradientRoom {
  std::vector<float> values, scores;
};

/// @param d_query, d_key, d_value of the head's first step, zeros before; strides as the head's
void attend_gradient(const Head& head, const float* d_out, int64_t out_stride,
                     AttentionWeights& weights, GradientRoom& room, float* d_query, float* d_key,
                     float* d_value) {
  weights.take(head);
  const int64_t padded = weights.padded();
  room.values.assign(static_cast<size_t>(padded * head.dim), 0.0f);
  room.scores.resize(static_cast<size_t>(padded));
  transpose(head.value, head, padded, room.values.data());
  const float scale = 1 / std::sqrt(static_cast<float>(head.dim));
  float* scores = room.scores.data();
  for (int64_t step = 0; step < head.steps; ++step, d_out += out_stride) {
    const float* weight = weights.of(step);
    scores_of(d_out, room.values.data(), head.dim, padded, scores);
    score_gradient(weight, scale, padded, scores);
    weighted_sum(scores, head.key, head, d_query + step * head.stride);
    add_weighted(scores, head.query + step * head.stride, head, d_key);
    add_weighted(weight, d_out, head, d_value);
  }
}

void check_rows(std::span<const float> qkv, std::span<const int32_t> offsets, int64_t dim,
                int64_t heads, int64_t values) {
  check(dim > 0 && heads > 0 && dim % heads == 0, "self_attention: {} heads of {} values", heads,
        dim);
  const int64_t steps = values / dim;
  check(values == steps * dim && std::ssize(qkv) == 3 * steps * dim,
        "self_attention: {} values of query, key and value for {} of output", qkv.size(), values);
  check(!offsets.empty() && offsets.front() >= 0 && offsets.back() <= steps &&
            std::is_sorted(offsets.begin(), offsets.end()),
        "self_attention: offsets do not rise from 0 to at most {}", steps);
}

/// Calls body(head, begin, h) for each head h of each row that has steps; begin: its first step.
void for_each_head(std::span<const float> qkv, std::span<const int32_t> offsets, int64_t dim,
                   int64_t heads, const auto& body) {
  const int64_t width = dim / heads;
  for (size_t row = 0; row + 1 < offsets.size(); ++row) {
    const int64_t begin = offsets[row], length = offsets[row + 1] - begin;
    const float* from = qkv.data() + begin * 3 * dim;
    for (int64_t h = 0; h < heads && length > 0; ++h)
      body(Head{.query = from + h * width,
                .key = from + dim + h * width,
                .value = from + 2 * dim + h * width,
                .stride = 3 * dim,
                .steps = length,
                .dim = width},
           begin, h);
  }
}

RETORT_CLONES void norm_row(float* x, const float* added, const float* gain, const float* bias,
                            float epsilon, int64_t dim) {
  float sum = 0, squares = 0;
  for (int64_t d = 0; d < dim; ++d) {
    x[d] += added[d];
    sum += x[d];
  }
  const float mean = sum / static_cast<float>(dim);
  for (int64_t d = 0; d < dim; ++d) squares += (x[d] - mean) * (x[d] - mean);
  const float scale = 1 / std::sqrt(squares / static_cast<float>(dim) + epsilon);
  for (int64_t d = 0; d < dim; ++d) x[d] = (x[d] - mean) * scale * gain[d] + bias[d];
}

}  // namespace

void add_layer_norm(std::span<float> x, std::span<const float> added, std::span<const float> gain,
                    std::span<const float> bias, float epsilon) {
  const int64_t dim = std::ssize(gain);
  check(dim > 0 && std::ssize(bias) == dim && std::ssize(x) % dim == 0 && added.size() == x.size(),
        "add_layer_norm: {} and {} values, gain of {}, bias of {}", x.size(), added.size(),
        gain.size(), bias.size());
  for (int64_t at = 0; at < std::ssize(x); at += dim)
    norm_row(x.data() + at, added.data() + at, gain.data(), bias.data(), epsilon, dim);
}

void self_attention(std::span<const float> qkv, std::span<const int32_t> offsets, int64_t dim,
                    int64_t heads, std::span<float> out) {
  check_rows(qkv, offsets, dim, heads, std::ssize(out));
  AttentionWeights weights;
  for_each_head(qkv, offsets, dim, heads, [&](const Head& head, int64_t begin, int64_t h) {
    attend(head, weights, out.data() + begin * dim + h * head.dim, dim);
  });
}

void self_attention_gradient(std::span<const float> qkv, std::span<const int32_t> offsets,
                             int64_t dim, int64_t heads, std::span<const float> d_out,
                             std::span<float> d_qkv) {
  check_rows(qkv, offsets, dim, heads, std::ssize(d_out));
  check(d_qkv.size() == qkv.size(), "self_attention: {} values, gradient of {}", qkv.size(),
        d_qkv.size());
  std::fill(d_qkv.begin() + int64_t{offsets.front()} * 3 * dim,
            d_qkv.begin() + int64_t{offsets.back()} * 3 * dim, 0.0f);
  AttentionWeights weights;
  GradientRoom room;
  for_each_head(qkv, offsets, dim, heads, [&](const Head& head, int64_t begin, int64_t h) {
    float* to = d_qkv.data() + begin * 3 * dim + h * head.dim;
    attend_gradient(head, d_out.data() + begin * dim + h * head.dim, dim, weights, room, to,
                    to + dim, to + 2 * dim);
  });
}

TransformerLayer::TransformerLayer(const Weights& weights, int64_t dim, int64_t heads,
                                   int64_t hidden)
    : dim_(dim),
      heads_(heads),
      hidden_(hidden),
      weights_(weights),
      in_proj_(weights.in_proj, 3 * dim, dim),
      out_proj_(weights.out_proj, dim, dim),
      linear1_(weights.linear1, hidden, dim),
      linear2_(weights.linear2, dim, hidden) {
  check(dim > 0 && heads > 0 && hidden > 0 && dim % heads == 0,
        "transformer layer: {} heads of {} values, {} hidden", heads, dim, hidden);
}

void TransformerLayer::forward(std::span<const int32_t> offsets, std::span<float> steps) const {
  const auto count = steps.size() / static_cast<size_t>(dim_);
  if (count == 0) return;
  std::vector<float> wide(count * static_cast<size_t>(std::max(3 * dim_, hidden_)));
  std::vector<float> narrow(steps.size()), added(steps.size());
  const auto qkv = std::span(wide).first(count * static_cast<size_t>(3 * dim_));
  dense_forward(steps, in_proj_, weights_.in_bias, false, qkv);
  self_attention(qkv, offsets, dim_, heads_, narrow);
  dense_forward(narrow, out_proj_, weights_.out_bias, false, added);
  add_layer_norm(steps, added, weights_.norm1, weights_.norm1_bias);
  const auto hidden = std::span(wide).first(count * static_cast<size_t>(hidden_));
  dense_forward(steps, linear1_, weights_.bias1, true, hidden);
  dense_forward(hidden, linear2_, weights_.bias2, false, added);
  add_layer_norm(steps, added, weights_.norm2, weights_.norm2_bias);
}

}  // namespace retort
