// The products of dense layers in bf16 on AMX tiles: what fused_dense.cc runs where the processor
// has them. oneDNN's plans are its other implementation and give the same numbers up to the order
// of sums.
#pragma once

#include <cstdint>

#include "retort/kernel/bf16.h"
#include "retort/kernel/fused_dense.h"

namespace retort {

/// Whether processor and system have the tiles; asks the system to let this process use them.
bool product_amx_supported();

/// Sizes of a layer: x [rows, columns], of whose columns the first `in` count; W [out, in] with
/// `stride` floats from row to row.
struct ProductSizes {
  int64_t rows = 0, in = 0, columns = 0, out = 0, stride = 0;
};

/// What becomes of a sum before it is stored.
struct ProductEnd {
  const float* bias = nullptr;  // [out]
  DenseSummand summand{};
  bool relu = false;
  bool float_output = false;  // y is float, not Bf16
};

/// y [rows, out] = act(x W^T + bias + summand). All functions run on OpenMP's threads, in an order
/// of sums that does not depend on their number, and keep their scratch memory from call to call.
void product_amx_forward(const ProductSizes& sizes, const ProductEnd& end, const Bf16* x,
                         const float* weight, void* y);
/// dx [rows, columns] = g W, zeros behind `in`, where g = dy, or 0 where `output` (if given) is not
/// above 0: the gradient before a ReLU. `add`: dx holds a summand. dy, output [rows, out].
void product_amx_data(const ProductSizes& sizes, const Bf16* dy, const Bf16* output,
                      const float* weight, bool add, Bf16* dx);
/// dweight [out, in] (with the stride) = g^T x, dbias [out] (if given) = sums of g's rows.
void product_amx_weights(const ProductSizes& sizes, const Bf16* x, const Bf16* dy,
                         const Bf16* output, float* dweight, float* dbias);

}  // namespace retort
