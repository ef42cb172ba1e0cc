// What the scans with 512-bit registers share; see scan_tile.h.
#pragma once

#include <immintrin.h>

#include "retort/kernel/scan_tile.h"

namespace retort {
namespace {

struct Avx512 {
  using Bounds = __m512;
  static Bounds bounds(__m512 sum, const float* scale, const float* norm, const float* residual,
                       const ScanQuery& query) {
    const __m512 margin =
        _mm512_fmadd_ps(_mm512_set1_ps(query.residual_factor), _mm512_loadu_ps(residual),
                        _mm512_mul_ps(_mm512_set1_ps(query.norm_factor), _mm512_loadu_ps(norm)));
    return _mm512_fmadd_ps(sum, _mm512_loadu_ps(scale), margin);
  }
  static Bounds bounds(__m512i sum, const float* scale, const float* norm, const float* residual,
                       const ScanQuery& query) {
    return bounds(_mm512_cvtepi32_ps(sum), scale, norm, residual, query);
  }
  static uint32_t reaching(Bounds bounds, float threshold) {
    return _mm512_cmp_ps_mask(bounds, _mm512_set1_ps(threshold), _CMP_NLT_UQ);
  }
  static void store(Bounds bounds, float* out) { _mm512_storeu_ps(out, bounds); }
};

}  // namespace
}  // namespace retort
