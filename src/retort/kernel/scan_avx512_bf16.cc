// The scan of bfloat16 for processors with AVX-512 BF16: two products a lane in one instruction.
#include "retort/kernel/scan_avx512_common.h"

namespace retort {
namespace {

struct Bf16 : Avx512 {
  static constexpr int kQueries = 8, kPanels = 3;
  using Item = __m512i;
  using Query = __m512i;
  using Acc = __m512;
  static Item load(const uint8_t* bytes) { return _mm512_loadu_si512(bytes); }
  static Acc zero(const ScanQuery&) { return _mm512_setzero_ps(); }
  static Query broadcast(const ScanQuery& query, int64_t step) {
    return _mm512_set1_epi32(static_cast<const int32_t*>(query.narrow)[step]);
  }
  static void multiply(Acc& sum, Item item, Query query) {
    sum =
        _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(item), reinterpret_cast<__m512bh>(query));
  }
};

bool supported() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512bf16");
}

}  // namespace

const ScanLevel kScanAvx512Bf16{"avx512_bf16", nullptr, &scan<Bf16>, &supported};

}  // namespace retort
