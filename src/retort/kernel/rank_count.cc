#include "retort/kernel/rank_count.h"

#include <algorithm>
#include <limits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Plain loops that the compiler turns into vectors, once for each instruction set; with AVX-512
// its masks are the answer.
namespace retort {
namespace {

constexpr int64_t kStretch = 64;  // scores counted before any is looked at on its own

[[gnu::always_inline]] inline BlockMatches compare(const float* scores, int64_t n,
                                                   const ScoreBounds& bounds, int64_t& above,
                                                   int32_t* close, int32_t* best) {
  BlockMatches found{0, 0};
  for (int64_t begin = 0; begin < n; begin += kStretch) {
    const int64_t end = std::min(n, begin + kStretch);
    int32_t higher = 0, below_low = 0, below_bar = 0;
    for (int64_t i = begin; i < end; ++i) {
      higher += scores[i] > bounds.high;
      below_low += scores[i] < bounds.low;
      below_bar += scores[i] < bounds.bar;
    }
    above += higher;
    if (higher + below_low != end - begin)
      for (int64_t i = begin; i < end; ++i)
        if (!(scores[i] > bounds.high) && !(scores[i] < bounds.low))
          close[found.close++] = static_cast<int32_t>(i);
    if (below_bar != end - begin)
      for (int64_t i = begin; i < end; ++i)
        if (!(scores[i] < bounds.bar)) best[found.best++] = static_cast<int32_t>(i);
  }
  return found;
}

[[gnu::always_inline]] inline void correct(const float* scores, int64_t n, const uint8_t* mask,
                                           float beta, const float* offset, float* out) {
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  if (offset == nullptr)
    for (int64_t i = 0; i < n; ++i) out[i] = scores[i];
  else
    for (int64_t i = 0; i < n; ++i) out[i] = scores[i] + beta * offset[i];
  if (mask != nullptr)
    for (int64_t i = 0; i < n; ++i) out[i] = mask[i] != 0 ? out[i] : kNone;
}

#if defined(__x86_64__)
[[gnu::target("avx512f,popcnt")]] inline int64_t list_lanes(uint32_t lanes, int64_t begin,
                                                            int32_t* out) {
  int64_t count = 0;
  for (; lanes != 0; lanes &= lanes - 1)
    out[count++] = static_cast<int32_t>(begin + __builtin_ctz(lanes));
  return count;
}

[[gnu::target("avx512f,popcnt")]] BlockMatches compare_avx512(const float* scores, int64_t n,
                                                              const ScoreBounds& bounds,
                                                              int64_t& above, int32_t* close,
                                                              int32_t* best) {
  const __m512 low = _mm512_set1_ps(bounds.low), high = _mm512_set1_ps(bounds.high),
               bar = _mm512_set1_ps(bounds.bar);
  BlockMatches found{0, 0};
  for (int64_t i = 0; i < n; i += 16) {
    const auto there = static_cast<__mmask16>(n - i >= 16 ? 0xffff : (1 << (n - i)) - 1);
    const __m512 score = _mm512_maskz_loadu_ps(there, scores + i);
    const uint32_t higher = _mm512_mask_cmp_ps_mask(there, score, high, _CMP_GT_OQ);
    const uint32_t not_low = _mm512_mask_cmp_ps_mask(there, score, low, _CMP_NLT_UQ);
    const uint32_t top = _mm512_mask_cmp_ps_mask(there, score, bar, _CMP_NLT_UQ);
    above += __builtin_popcount(higher);
    const uint32_t near = not_low & ~higher;
    if ((near | top) == 0) [[likely]]
      continue;
    found.close += list_lanes(near, i, close + found.close);
    found.best += list_lanes(top, i, best + found.best);
  }
  return found;
}
#endif

#define RETORT_COMPARE(isa, attribute)                                                            \
  attribute BlockMatches compare_##isa(const float* scores, int64_t n, const ScoreBounds& bounds, \
                                       int64_t& above, int32_t* close, int32_t* best) {           \
    return compare(scores, n, bounds, above, close, best);                                        \
  }
#define RETORT_CORRECT(isa, attribute)                                                          \
  attribute void correct_##isa(const float* scores, int64_t n, const uint8_t* mask, float beta, \
                               const float* offset, float* out) {                               \
    correct(scores, n, mask, beta, offset, out);                                                \
  }

RETORT_COMPARE(generic, )
RETORT_CORRECT(generic, )
#if defined(__x86_64__)
RETORT_COMPARE(avx2, [[gnu::target("avx2")]])
RETORT_CORRECT(avx2, [[gnu::target("avx2")]])
RETORT_CORRECT(avx512, [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl")]])
#endif
#undef RETORT_COMPARE
#undef RETORT_CORRECT

struct RankKernels {
  decltype(&compare_generic) compare;
  decltype(&correct_generic) correct;
};

const RankKernels& kernels() {
  static const RankKernels chosen = [] {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
      return RankKernels{&compare_avx512, &correct_avx512};
    if (__builtin_cpu_supports("avx2")) return RankKernels{&compare_avx2, &correct_avx2};
#endif
    return RankKernels{&compare_generic, &correct_generic};
  }();
  return chosen;
}

}  // namespace

BlockMatches compare_scores(const float* scores, int64_t n, const ScoreBounds& bounds,
                            int64_t& above, int32_t* close, int32_t* best) {
  return kernels().compare(scores, n, bounds, above, close, best);
}

void correct_scores(const float* scores, int64_t n, const uint8_t* mask, float beta,
                    const float* offset, float* out) {
  kernels().correct(scores, n, mask, beta, offset, out);
}

}  // namespace retort
