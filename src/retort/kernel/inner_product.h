// Inner products of one query with scattered rows, for walks over a graph: compiled for several
// instruction sets and chosen when the program starts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace retort {

/// What hnswlib calls: minus the inner product of two vectors; `width` points to their size_t
/// length.
using DistanceFunction = float (*)(const void* a, const void* b, const void* width);

/// out[i] = - <query, row ids[i]>, rows of `dim` floats at base + id * stride bytes; fetches rows
/// ahead of their use.
using GatherFunction = void (*)(const float* query, const char* base, size_t stride,
                                const uint32_t* ids, int64_t count, int64_t dim, float* out);

/// Rows of `width` int8, a multiple of 64, at codes + id * width: out[i] = - scale[ids[i]] *
/// <query, row ids[i]>. `query` has `width` floats.
using GatherInt8Function = void (*)(const float* query, const int8_t* codes, const float* scale,
                                    const uint32_t* ids, int64_t count, int64_t width, float* out);

struct InnerProductKernels {
  std::string_view isa;
  DistanceFunction distance;
  GatherFunction gather;
  GatherInt8Function gather_int8;
};
/// The kernels that this processor runs, fastest first: "avx512", "avx2", "generic".
const std::vector<InnerProductKernels>& inner_product_kernels();

}  // namespace retort
