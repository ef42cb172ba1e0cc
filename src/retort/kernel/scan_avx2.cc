// The scan for processors with AVX2 and FMA.
#include <immintrin.h>

#include "retort/kernel/scan_tile.h"

namespace retort {
namespace {

struct Avx2 {
  struct Bounds {
    __m256 low, high;
  };
  static Bounds bounds(__m256 low, __m256 high, const float* scale, const float* norm,
                       const float* residual, const ScanQuery& query) {
    const __m256 norm_factor = _mm256_set1_ps(query.norm_factor);
    const __m256 residual_factor = _mm256_set1_ps(query.residual_factor);
    const auto half = [&](__m256 sum, int64_t at) {
      const __m256 margin = _mm256_fmadd_ps(residual_factor, _mm256_loadu_ps(residual + at),
                                            _mm256_mul_ps(norm_factor, _mm256_loadu_ps(norm + at)));
      return _mm256_fmadd_ps(sum, _mm256_loadu_ps(scale + at), margin);
    };
    return {half(low, 0), half(high, 8)};
  }
  static uint32_t reaching(const Bounds& bounds, float threshold) {
    const __m256 least = _mm256_set1_ps(threshold);
    const auto half = [&](__m256 bound) {
      return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(bound, least, _CMP_NLT_UQ)));
    };
    return half(bounds.low) | half(bounds.high) << 8;
  }
  static void store(const Bounds& bounds, float* out) {
    _mm256_storeu_ps(out, bounds.low);
    _mm256_storeu_ps(out + 8, bounds.high);
  }
};

/// Products of 16-bit pairs: exact, as no sum of bytes is cut at 16 bits.
struct Int8 : Avx2 {
  static constexpr int kQueries = 3, kPanels = 1;
  struct Item {
    __m256i even_low, odd_low, even_high, odd_high;
  };
  struct Query {
    __m256i even, odd;
  };
  struct Acc {
    __m256i low, high;
  };
  static Item load(const uint8_t* bytes) {
    const __m256i mask = _mm256_set1_epi16(0xff);
    const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes));
    const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes + 32));
    return {_mm256_and_si256(low, mask), _mm256_srli_epi16(low, 8), _mm256_and_si256(high, mask),
            _mm256_srli_epi16(high, 8)};
  }
  static Acc zero(const ScanQuery& query) {
    return {_mm256_set1_epi32(query.start), _mm256_set1_epi32(query.start)};
  }
  static Query broadcast(const ScanQuery& query, int64_t step) {
    const auto* pairs = static_cast<const int32_t*>(query.wide) + step * 2;
    return {_mm256_set1_epi32(pairs[0]), _mm256_set1_epi32(pairs[1])};
  }
  static void multiply(Acc& sum, const Item& item, const Query& query) {
    sum.low =
        _mm256_add_epi32(sum.low, _mm256_add_epi32(_mm256_madd_epi16(item.even_low, query.even),
                                                   _mm256_madd_epi16(item.odd_low, query.odd)));
    sum.high =
        _mm256_add_epi32(sum.high, _mm256_add_epi32(_mm256_madd_epi16(item.even_high, query.even),
                                                    _mm256_madd_epi16(item.odd_high, query.odd)));
  }
  static Bounds bounds(const Acc& sum, const float* scale, const float* norm, const float* residual,
                       const ScanQuery& query) {
    return Avx2::bounds(_mm256_cvtepi32_ps(sum.low), _mm256_cvtepi32_ps(sum.high), scale, norm,
                        residual, query);
  }
};

struct Bf16 : Avx2 {
  static constexpr int kQueries = 4, kPanels = 1;
  struct Item {
    __m256 even_low, odd_low, even_high, odd_high;
  };
  struct Query {
    __m256 even, odd;
  };
  struct Acc {
    __m256 low, high;
  };
  static Item load(const uint8_t* bytes) {
    const __m256i mask = _mm256_set1_epi32(static_cast<int32_t>(0xffff0000u));
    const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes));
    const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes + 32));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(low, 16)),
            _mm256_castsi256_ps(_mm256_and_si256(low, mask)),
            _mm256_castsi256_ps(_mm256_slli_epi32(high, 16)),
            _mm256_castsi256_ps(_mm256_and_si256(high, mask))};
  }
  static Acc zero(const ScanQuery&) { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static Query broadcast(const ScanQuery& query, int64_t step) {
    const auto* pair = static_cast<const float*>(query.wide) + step * 2;
    return {_mm256_set1_ps(pair[0]), _mm256_set1_ps(pair[1])};
  }
  static void multiply(Acc& sum, const Item& item, const Query& query) {
    sum.low = _mm256_fmadd_ps(item.even_low, query.even, sum.low);
    sum.low = _mm256_fmadd_ps(item.odd_low, query.odd, sum.low);
    sum.high = _mm256_fmadd_ps(item.even_high, query.even, sum.high);
    sum.high = _mm256_fmadd_ps(item.odd_high, query.odd, sum.high);
  }
  static Bounds bounds(const Acc& sum, const float* scale, const float* norm, const float* residual,
                       const ScanQuery& query) {
    return Avx2::bounds(sum.low, sum.high, scale, norm, residual, query);
  }
};

bool supported() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

}  // namespace

const ScanLevel kScanAvx2{"avx2", &scan<Int8>, &scan<Bf16>, &supported};

}  // namespace retort
