// Dense layers for training in bf16 on oneDNN: forward with bias and activation, and both
// backward products, planned once for a number of rows. Used by nn/.
#pragma once

#include <cstdint>
#include <memory>

#include "retort/kernel/bf16.h"

namespace retort {

/// Widths that oneDNN multiplies well: `width` rounded up to a multiple of 64.
inline int64_t padded_width(int64_t width) { return (width + 63) / 64 * 64; }

struct DenseShape {
  int64_t rows = 0;
  int64_t in = 0;             // columns of the weight that are used
  int64_t columns = 0;        // of x: 0 = in; more: the rest is zeros
  int64_t out = 0;            // rows of the weight
  bool relu = false;          // after bias
  bool add = false;           // y holds a summand before: y = act(x W^T + b + y)
  bool float_output = false;  // y in fp32 instead of bf16
};

/// y = act(x W^T + b) and its derivatives. The products take bf16 and sum in fp32; weights, biases
/// and their gradients are fp32. W is [out, in] with `stride` floats from row to row, so that it
/// may be a part of a wider matrix; x is [rows, columns]; y and dy are [rows, out]. Not
/// thread-safe: one plan a thread. Runs on OpenMP's threads.
class DensePlan {
 public:
  explicit DensePlan(const DenseShape& shape);
  ~DensePlan();
  DensePlan(const DensePlan&) = delete;
  DensePlan& operator=(const DensePlan&) = delete;

  /// `bias` [out] or nullptr. y is Bf16 or, with float_output, float.
  void forward(const Bf16* x, const float* weight, int64_t stride, const float* bias, void* y);
  /// dx [rows, columns] = dy W; columns behind `in` become 0. dy is the gradient before the
  /// activation (relu_backward).
  void backward_data(const Bf16* dy, const float* weight, int64_t stride, Bf16* dx);
  /// dweight [out, in] with `stride` = dy^T x, dbias [out] (or nullptr) = sums of dy; overwritten.
  void backward_weights(const Bf16* x, const Bf16* dy, float* dweight, int64_t stride,
                        float* dbias);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace retort
