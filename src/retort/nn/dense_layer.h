// Dense layers and stacks of them, fp32 or bf16 by the type of their input: in fp32 and on a GPU
// libtorch's operations, in bf16 on a CPU the fused products of kernel/fused_dense.h.
#pragma once

#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include <torch/torch.h>

#include "retort/kernel/fused_dense.h"

namespace retort {

/// The input of a layer whose rows share a part: row r is [shared[owner[r]], own[r]]. What the
/// shared part contributes is computed once an owner. bf16 tensors may have columns of zeros
/// behind their width.
struct GroupedRows {
  torch::Tensor shared{};    // [G, shared_width]; undefined: none
  torch::Tensor own{};       // [R, the layer's other inputs]
  torch::Tensor owner{};     // [R] int64, ascending
  int64_t shared_width = 0;  // 0: none
};

/// Plans of a layer's products, one a shape, made when they are first needed.
class DensePlans {
 public:
  DensePlan& plan(const DenseShape& shape);

 private:
  using Key = std::tuple<int64_t, int64_t, int64_t, bool, bool>;
  std::map<Key, std::unique_ptr<DensePlan>> plans_;
};

struct DenseLayer {
  torch::Tensor weight{};  // [out, in] fp32
  torch::Tensor bias{};    // [out] fp32 or undefined
  bool relu = false;
  bool float_output = true;             // bf16 input: y in fp32
  std::shared_ptr<DensePlans> plans{};  // for bf16 on a CPU; used by one step at a time
};

/// Rows of zeros that bring `rows` to a multiple of `step`: fused products are planned once a
/// shape, and batches whose number of rows varies shall have few.
inline int64_t spare_rows(int64_t rows, int64_t step) { return (step - rows % step) % step; }
/// x [R, in] as layers take it in bf16: zeros behind the width, up to padded_width.
torch::Tensor to_padded_bf16(const torch::Tensor& x);

using DenseStack = std::vector<DenseLayer>;  // each takes what the one before it gives

/// y = act(x W^T + b). x is [R, in], or in bf16 [R, in or more columns, the rest zeros].
/// @return [R, out], fp32, or bf16 where x is bf16 and the output is not to be fp32
torch::Tensor dense_layer(const torch::Tensor& x, const DenseLayer& layer);
/// The same with a shared part, computed once an owner.
torch::Tensor dense_layer(const GroupedRows& x, const DenseLayer& layer);
/// What the fused products are tested against, and what runs on a GPU.
torch::Tensor dense_layer_by_ops(const GroupedRows& x, const DenseLayer& layer);

/// What each of several stacks makes of the same input; fused, all of it is one step of autograd.
/// Layers but a stack's last must not have `float_output`.
std::vector<torch::Tensor> dense_stacks(const GroupedRows& x,
                                        const std::vector<DenseStack>& stacks);

}  // namespace retort
