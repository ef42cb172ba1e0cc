#include "retort/kernel/rank_count.h"

#include <algorithm>
#include <limits>

// Plain loops that the compiler turns into vectors, once for each instruction set.
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

#define RETORT_RANK_COUNT(isa, attribute)                                                         \
  attribute BlockMatches compare_##isa(const float* scores, int64_t n, const ScoreBounds& bounds, \
                                       int64_t& above, int32_t* close, int32_t* best) {           \
    return compare(scores, n, bounds, above, close, best);                                        \
  }                                                                                               \
  attribute void correct_##isa(const float* scores, int64_t n, const uint8_t* mask, float beta,   \
                               const float* offset, float* out) {                                 \
    correct(scores, n, mask, beta, offset, out);                                                  \
  }

RETORT_RANK_COUNT(generic, )
#if defined(__x86_64__)
RETORT_RANK_COUNT(avx2, [[gnu::target("avx2")]])
RETORT_RANK_COUNT(avx512, [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl")]])
#endif
#undef RETORT_RANK_COUNT

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
