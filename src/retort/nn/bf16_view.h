// A bf16 tensor as the kernels see it.
#pragma once

#include <torch/torch.h>

#include "retort/kernel/bf16.h"

namespace retort {

/// The values of a contiguous bf16 tensor.
inline Bf16* bits(const torch::Tensor& tensor) {
  return reinterpret_cast<Bf16*>(tensor.data_ptr<at::BFloat16>());
}

}  // namespace retort
