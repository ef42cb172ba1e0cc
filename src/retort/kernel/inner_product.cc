#include "retort/kernel/inner_product.h"

#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// As in dense.cc: bodies inlined into one wrapper an instruction set.
namespace retort {
namespace {

constexpr int64_t kLanes = 16;
constexpr int64_t kAhead = 3;  // rows fetched before they are needed
constexpr int64_t kAheadInt8 = 12;
using Vec [[gnu::vector_size(64), gnu::aligned(4), gnu::may_alias]] = float;

[[gnu::always_inline]] inline Vec load(const float* from) {
  return *reinterpret_cast<const Vec*>(from);
}

/// Four chains of partial sums hide the latency of an addition.
[[gnu::always_inline]] inline float product(const float* a, const float* b, int64_t n) {
  Vec sums[4] = {};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes)
    for (int64_t c = 0; c < 4; ++c) sums[c] += load(a + i + c * kLanes) * load(b + i + c * kLanes);
  for (; i + kLanes <= n; i += kLanes) sums[0] += load(a + i) * load(b + i);
  const Vec sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  float lanes[kLanes];
  std::memcpy(lanes, &sum, sizeof(lanes));
  for (; i < n; ++i) lanes[i % kLanes] += a[i] * b[i];
  for (int64_t half = kLanes / 2; half > 0; half /= 2)
    for (int64_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  return lanes[0];
}

[[gnu::always_inline]] inline void fetch(const char* row, int64_t bytes) {
  for (int64_t at = 0; at < bytes; at += 64) __builtin_prefetch(row + at);
}

[[gnu::always_inline]] inline void gather(const float* query, const char* base, size_t stride,
                                          const uint32_t* ids, int64_t count, int64_t dim,
                                          float* out) {
  const int64_t bytes = dim * static_cast<int64_t>(sizeof(float));
  for (int64_t i = 0; i < count && i < kAhead; ++i) fetch(base + ids[i] * stride, bytes);
  for (int64_t i = 0; i < count; ++i) {
    if (i + kAhead < count) fetch(base + ids[i + kAhead] * stride, bytes);
    out[i] = -product(query, reinterpret_cast<const float*>(base + ids[i] * stride), dim);
  }
}

/// What is fetched ahead is shared by the int8 gathers below, whose bodies differ.
[[gnu::always_inline]] inline void fetch_int8(const int8_t* codes, const uint32_t* ids, int64_t i,
                                              int64_t count, int64_t width) {
  const int64_t first = i == 0 ? 0 : i + kAheadInt8 - 1;
  for (int64_t at = first; at < count && at < i + kAheadInt8; ++at)
    fetch(reinterpret_cast<const char*>(codes + ids[at] * width), width);
}

void gather_int8_generic(const float* query, const int8_t* codes, const float* scale,
                         const uint32_t* ids, int64_t count, int64_t width, float* out) {
  for (int64_t i = 0; i < count; ++i) {
    fetch_int8(codes, ids, i, count, width);
    const int8_t* row = codes + ids[i] * width;
    float sums[4] = {};
    for (int64_t d = 0; d < width; d += 4)
      for (int64_t lane = 0; lane < 4; ++lane)
        sums[lane] += query[d + lane] * static_cast<float>(row[d + lane]);
    out[i] = -scale[ids[i]] * ((sums[0] + sums[1]) + (sums[2] + sums[3]));
  }
}

#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] void gather_int8_avx2(const float* query, const int8_t* codes,
                                                  const float* scale, const uint32_t* ids,
                                                  int64_t count, int64_t width, float* out) {
  for (int64_t i = 0; i < count; ++i) {
    fetch_int8(codes, ids, i, count, width);
    const int8_t* row = codes + ids[i] * width;
    __m256 sums[4] = {};
    for (int64_t d = 0; d < width; d += 32)
      for (int64_t c = 0; c < 4; ++c) {
        const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(row + d + c * 8));
        sums[c] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
                                  _mm256_loadu_ps(query + d + c * 8), sums[c]);
      }
    const __m256 sum =
        _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]));
    float lanes[8];
    _mm256_storeu_ps(lanes, sum);
    for (int64_t half = 4; half > 0; half /= 2)
      for (int64_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
    out[i] = -scale[ids[i]] * lanes[0];
  }
}

[[gnu::target("avx512f,avx2,fma")]] void gather_int8_avx512(const float* query, const int8_t* codes,
                                                            const float* scale, const uint32_t* ids,
                                                            int64_t count, int64_t width,
                                                            float* out) {
  for (int64_t i = 0; i < count; ++i) {
    fetch_int8(codes, ids, i, count, width);
    const int8_t* row = codes + ids[i] * width;
    __m512 sums[4] = {};
    for (int64_t d = 0; d < width; d += 64)
      for (int64_t c = 0; c < 4; ++c) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + d + c * 16));
        sums[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)),
                                  _mm512_loadu_ps(query + d + c * 16), sums[c]);
      }
    const __m512 sum =
        _mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3]));
    out[i] = -scale[ids[i]] * _mm512_reduce_add_ps(sum);
  }
}
#endif

#define RETORT_INNER_PRODUCT(isa, attribute)                                                 \
  attribute float distance_##isa(const void* a, const void* b, const void* width) {          \
    return -product(static_cast<const float*>(a), static_cast<const float*>(b),              \
                    static_cast<int64_t>(*static_cast<const size_t*>(width)));               \
  }                                                                                          \
  attribute void gather_##isa(const float* query, const char* base, size_t stride,           \
                              const uint32_t* ids, int64_t count, int64_t dim, float* out) { \
    gather(query, base, stride, ids, count, dim, out);                                       \
  }                                                                                          \
  constexpr InnerProductKernels kernels_##isa{#isa, distance_##isa, gather_##isa,            \
                                              gather_int8_##isa};

RETORT_INNER_PRODUCT(generic, )
#if defined(__x86_64__)
RETORT_INNER_PRODUCT(avx2, [[gnu::target("avx2,fma")]])
RETORT_INNER_PRODUCT(avx512, [[gnu::target("avx512f,avx2,fma")]])
#endif
#undef RETORT_INNER_PRODUCT

std::vector<InnerProductKernels> supported_kernels() {
  std::vector<InnerProductKernels> kernels;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) kernels.push_back(kernels_avx512);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    kernels.push_back(kernels_avx2);
#endif
  kernels.push_back(kernels_generic);
  return kernels;
}

}  // namespace

const std::vector<InnerProductKernels>& inner_product_kernels() {
  static const std::vector<InnerProductKernels> kernels = supported_kernels();
  return kernels;
}

}  // namespace retort
