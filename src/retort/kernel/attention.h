// A bidirectional transformer over rows of different lengths, in fp32: what a user's sequences pass
// through at retrieval, and its attention's gradient. Rows stand one after the other, so nothing is
// padded.
#pragma once

#include <cstdint>
#include <span>

#include "retort/kernel/dense.h"

namespace retort {

/// Each row of `x` becomes gain * (v - mean) / sqrt(variance + epsilon) + bias of v = x + added.
/// Shapes: x and added [S, dim], gain and bias [dim].
/// Source: Ba, Kiros & Hinton, "Layer normalization", 2016.
void add_layer_norm(std::span<float> x, std::span<const float> added, std::span<const float> gain,
                    std::span<const float> bias, float epsilon = 1e-5f);

/// For each head h and each row of steps: out = softmax(Q K^T / sqrt(dim / heads)) V, every step
/// seeing every step of its row. Row r is steps [offsets[r], offsets[r + 1]); steps of no row are
/// left as they are. Shapes: qkv [S, 3 dim] (query, key, value; heads side by side in each),
/// offsets [R + 1], out [S, dim]. Throws ArgumentError if sizes do not fit. Runs on the calling
/// thread. Source: Vaswani et al., NIPS 2017, eq. 1.
void self_attention(std::span<const float> qkv, std::span<const int32_t> offsets, int64_t dim,
                    int64_t heads, std::span<float> out);
/// d_qkv of the rows' steps from the gradient d_out of their outputs; the weights are computed
/// again. Shapes: qkv and d_qkv [S, 3 dim], d_out [S, dim].
void self_attention_gradient(std::span<const float> qkv, std::span<const int32_t> offsets,
                             int64_t dim, int64_t heads, std::span<const float> d_out,
                             std::span<float> d_qkv);

/// A post-norm layer: x = norm1(x + attention(x)); x = norm2(x + linear2(relu(linear1(x)))).
/// Source: Vaswani et al., NIPS 2017, sec. 3.1.
class TransformerLayer {
 public:
  /// Row-major; biases and norms must outlive the layer.
  struct Weights {
    std::span<const float> in_proj, in_bias;                      // [3 dim, dim], [3 dim]
    std::span<const float> out_proj, out_bias;                    // [dim, dim], [dim]
    std::span<const float> linear1, bias1;                        // [hidden, dim], [hidden]
    std::span<const float> linear2, bias2;                        // [dim, hidden], [dim]
    std::span<const float> norm1, norm1_bias, norm2, norm2_bias;  // [dim]
  };
  /// Throws ArgumentError if a weight does not fit or heads do not divide dim.
  TransformerLayer(const Weights& weights, int64_t dim, int64_t heads, int64_t hidden);
  /// In place; steps [S, dim], offsets [R + 1] with offsets[R] = S.
  void forward(std::span<const int32_t> offsets, std::span<float> steps) const;

 private:
  int64_t dim_, heads_, hidden_;
  Weights weights_;
  PackedMatrix in_proj_, out_proj_, linear1_, linear2_;
};

}  // namespace retort
