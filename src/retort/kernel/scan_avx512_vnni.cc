// The scan of int8 for processors with AVX-512 VNNI: four products a lane in one instruction.
#include "retort/kernel/scan_avx512_common.h"

namespace retort {
namespace {

struct Int8 : Avx512 {
  static constexpr int kQueries = 8, kPanels = 3;
  using Item = __m512i;
  using Query = __m512i;
  using Acc = __m512i;
  static Item load(const uint8_t* bytes) { return _mm512_loadu_si512(bytes); }
  static Acc zero(const ScanQuery& query) { return _mm512_set1_epi32(query.start); }
  static Query broadcast(const ScanQuery& query, int64_t step) {
    return _mm512_set1_epi32(static_cast<const int32_t*>(query.narrow)[step]);
  }
  static void multiply(Acc& sum, Item item, Query query) {
    sum = _mm512_dpbusd_epi32(sum, item, query);
  }
};

bool supported() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vnni");
}

}  // namespace

const ScanLevel kScanAvx512Vnni{"avx512_vnni", &scan<Int8>, nullptr, &supported};

}  // namespace retort
