// The scan for processors with AVX-512 F and BW.
#include "retort/kernel/scan_avx512_common.h"

namespace retort {
namespace {

struct Int8 : Avx512 {
  static constexpr int kQueries = 6, kPanels = 2;
  struct Item {
    __m512i even, odd;
  };
  using Query = Item;
  using Acc = __m512i;
  static Item load(const uint8_t* bytes) {
    const __m512i values = _mm512_loadu_si512(bytes);
    return {_mm512_and_si512(values, _mm512_set1_epi16(0xff)), _mm512_srli_epi16(values, 8)};
  }
  static Acc zero(const ScanQuery& query) { return _mm512_set1_epi32(query.start); }
  static Query broadcast(const ScanQuery& query, int64_t step) {
    const auto* pairs = static_cast<const int32_t*>(query.wide) + step * 2;
    return {_mm512_set1_epi32(pairs[0]), _mm512_set1_epi32(pairs[1])};
  }
  static void multiply(Acc& sum, const Item& item, const Query& query) {
    sum = _mm512_add_epi32(sum, _mm512_add_epi32(_mm512_madd_epi16(item.even, query.even),
                                                 _mm512_madd_epi16(item.odd, query.odd)));
  }
};

struct Bf16 : Avx512 {
  static constexpr int kQueries = 8, kPanels = 2;
  struct Item {
    __m512 even, odd;
  };
  using Query = Item;
  using Acc = __m512;
  static Item load(const uint8_t* bytes) {
    const __m512i values = _mm512_loadu_si512(bytes);
    const __m512i mask = _mm512_set1_epi32(static_cast<int32_t>(0xffff0000u));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(values, 16)),
            _mm512_castsi512_ps(_mm512_and_si512(values, mask))};
  }
  static Acc zero(const ScanQuery&) { return _mm512_setzero_ps(); }
  static Query broadcast(const ScanQuery& query, int64_t step) {
    const auto* pair = static_cast<const float*>(query.wide) + step * 2;
    return {_mm512_set1_ps(pair[0]), _mm512_set1_ps(pair[1])};
  }
  static void multiply(Acc& sum, const Item& item, const Query& query) {
    sum = _mm512_fmadd_ps(item.even, query.even, sum);
    sum = _mm512_fmadd_ps(item.odd, query.odd, sum);
  }
};

bool supported() { return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"); }

}  // namespace

const ScanLevel kScanAvx512{"avx512", &scan<Int8>, &scan<Bf16>, &supported};

}  // namespace retort
