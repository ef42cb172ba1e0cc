// Dense layers for training in bf16: forward with bias and activation, and both backward products;
// on AMX tiles where there are any, else on oneDNN, planned once for a number of rows. Used by nn/.
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
  bool add = false;           // y = act(x W^T + b + summand)
  bool float_output = false;  // y in fp32 instead of bf16
};

/// What is added to row r before the activation: row owner[r] of `rows` [any, out], of y's type.
struct DenseSummand {
  const void* rows = nullptr;
  const int64_t* owner = nullptr;
};

/// What a backward pass of a layer takes and gives.
struct DenseBackward {
  const Bf16* x = nullptr;
  const Bf16* dy = nullptr;
  const Bf16* output = nullptr;  // [rows, out] of a ReLU: dy counts where it is above 0
  const float* weight = nullptr;
  int64_t stride = 0;        // floats from row to row of weight and dweight
  float* dweight = nullptr;  // [out, in] = dy^T x, overwritten
  float* dbias = nullptr;    // [out] = sums of dy, overwritten; nullptr: not wanted
  Bf16* dx = nullptr;        // [rows, columns] = dy W, 0 behind `in`; nullptr: not wanted
  bool add = false;          // dx = dx + dy W
};

/// y = act(x W^T + b) and its derivatives. The products take bf16 and sum in fp32; weights, biases
/// and their gradients are fp32. W is [out, in] with `stride` floats from row to row, so that it
/// may be a part of a wider matrix; x is [rows, columns]; y and dy are [rows, out]. Not
/// thread-safe: one plan a thread. Runs on OpenMP's threads.
class DensePlan {
 public:
  enum class Engine { kBest, kOneDnn };
  /// `engine` is for tests.
  explicit DensePlan(const DenseShape& shape, Engine engine = Engine::kBest);
  ~DensePlan();
  DensePlan(const DensePlan&) = delete;
  DensePlan& operator=(const DensePlan&) = delete;

  /// `bias` [out] or nullptr. y is Bf16 or, with float_output, float. `summand` where the shape
  /// has `add`.
  void forward(const Bf16* x, const float* weight, int64_t stride, const float* bias, void* y,
               const DenseSummand& summand = {});
  void backward(const DenseBackward& pass);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace retort
