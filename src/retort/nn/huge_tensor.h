// Memory for tables whose rows are touched at random: zeros on huge pages, made when first touched.
#pragma once

#include <torch/torch.h>

namespace retort {

/// Zeros on the CPU. From 4 MiB on, in memory of its own on pages of 2 MiB where the system grants
/// them: rows at random then cost a cache miss, not a walk of the page table besides.
/// Throws Error where the memory cannot be had, saying how much was asked for.
torch::Tensor huge_zeros(at::IntArrayRef sizes, torch::ScalarType type);

}  // namespace retort
