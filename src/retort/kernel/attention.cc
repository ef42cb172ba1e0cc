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

/// One head of one row of steps: pointers to its first query, key, value and output.
struct Head {
  const float *query, *key, *value;
  int64_t stride;  // of all three
  float* out;
  int64_t out_stride;
  int64_t steps, dim;
};

/// to[d * padded + s] = key s at d: scores of one query are then sums of rows of `to`.
RETORT_CLONES void transpose_keys(const Head& head, int64_t padded, float* to) {
  for (int64_t step = 0; step < head.steps; ++step)
    for (int64_t d = 0; d < head.dim; ++d) to[d * padded + step] = head.key[step * head.stride + d];
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

RETORT_CLONES void weighted_values(const float* weights, const Head& head, float* out) {
  std::fill(out, out + head.dim, 0.0f);
  for (int64_t step = 0; step < head.steps; ++step) {
    const float* value = head.value + step * head.stride;
    for (int64_t d = 0; d < head.dim; ++d) out[d] += weights[step] * value[d];
  }
}

/// Room for one head; grows to the longest row.
struct Scratch {
  void fit(int64_t padded, int64_t dim) {
    keys.assign(static_cast<size_t>(padded * dim), 0.0f);
    scores.resize(static_cast<size_t>(padded));
    none.assign(static_cast<size_t>(padded), 0.0f);
  }
  std::vector<float> keys, scores, none;
};

void attend(const Head& head, Scratch& scratch) {
  const int64_t padded = (head.steps + kLanes - 1) / kLanes * kLanes;
  scratch.fit(padded, head.dim);
  transpose_keys(head, padded, scratch.keys.data());
  const SoftmaxRowKernels& softmax = softmax_row_kernels();
  const float scale = std::numbers::log2e_v<float> / std::sqrt(static_cast<float>(head.dim));
  float* scores = scratch.scores.data();
  for (int64_t step = 0; step < head.steps; ++step) {
    scores_of(head.query + step * head.stride, scratch.keys.data(), head.dim, padded, scores);
    std::fill(scores + head.steps, scores + padded, kNoLogit);
    float max = 0, sum = 0;
    softmax.max_sum(scores, scratch.none.data(), scale, padded, max, sum);
    softmax.gradient(scores, scratch.none.data(), 1, max, 1 / sum, padded, scores);
    weighted_values(scores, head, head.out + step * head.out_stride);
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
  check(dim > 0 && heads > 0 && dim % heads == 0, "self_attention: {} heads of {} values", heads,
        dim);
  const int64_t steps = std::ssize(out) / dim;
  check(std::ssize(out) == steps * dim && std::ssize(qkv) == 3 * steps * dim,
        "self_attention: {} values of query, key and value for {} of output", qkv.size(),
        out.size());
  check(!offsets.empty() && offsets.front() == 0 && offsets.back() == steps &&
            std::is_sorted(offsets.begin(), offsets.end()),
        "self_attention: offsets do not rise from 0 to {}", steps);
  Scratch scratch;
  const int64_t width = dim / heads;
  for (size_t row = 0; row + 1 < offsets.size(); ++row) {
    const int64_t begin = offsets[row], length = offsets[row + 1] - begin;
    const float* from = qkv.data() + begin * 3 * dim;
    for (int64_t h = 0; h < heads && length > 0; ++h)
      attend({.query = from + h * width,
              .key = from + dim + h * width,
              .value = from + 2 * dim + h * width,
              .stride = 3 * dim,
              .out = out.data() + begin * dim + h * width,
              .out_stride = dim,
              .steps = length,
              .dim = width},
             scratch);
  }
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
