// The scan of many queries for processors with AMX: tiles of 16 x 16 products in one instruction.
#include "retort/kernel/amx.h"
#include "retort/kernel/scan_avx512_common.h"

namespace retort {
namespace {

constexpr int64_t kGroup = 2 * kTile;  // queries a group
constexpr int64_t kFewest = 8;         // queries that are worth a group
constexpr int64_t kLongest = 4096;     // bytes of a query's codes that fit the buffer

/// Sums of 2 x 2 tiles: queries [0, 16) and [16, 32) with two panels.
struct [[gnu::aligned(64)]] Sums {
  int32_t lane[2][2][kTile][kPanelRows];
};

/// The codes of a group's queries, tile after tile, zeros past the last query and the last code.
struct [[gnu::aligned(64)]] Group {
  uint8_t codes[2][kLongest / 64][kTile][64];
};

struct Int8 {
  static void multiply() {
    _tile_dpbsud(0, 4, 6);
    _tile_dpbsud(1, 4, 7);
    _tile_dpbsud(2, 5, 6);
    _tile_dpbsud(3, 5, 7);
  }
  static __m512 sum(const int32_t* lanes, const ScanQuery& query) {
    return _mm512_cvtepi32_ps(
        _mm512_add_epi32(_mm512_load_si512(lanes), _mm512_set1_epi32(query.start)));
  }
  static void few(const CompactView& view, int64_t first, int64_t last, const uint64_t* bits,
                  ScanQuery* queries, int64_t count) {
    kScanAvx512Vnni.int8(view, first, last, bits, queries, count);
  }
};

struct Bf16 {
  static void multiply() {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  static __m512 sum(const int32_t* lanes, const ScanQuery&) { return _mm512_load_ps(lanes); }
  static void few(const CompactView& view, int64_t first, int64_t last, const uint64_t* bits,
                  ScanQuery* queries, int64_t count) {
    kScanAvx512Bf16.bf16(view, first, last, bits, queries, count);
  }
};

void pack(Group& group, const ScanQuery* queries, int64_t count, int64_t steps) {
  const int64_t tiles = (steps + kTile - 1) / kTile;
  for (int64_t half = 0; half < 2; ++half)
    __builtin_memset(group.codes[half], 0, static_cast<size_t>(tiles * kTile * 64));
  for (int64_t q = 0; q < count; ++q) {
    const auto* codes = static_cast<const uint8_t*>(queries[q].narrow);
    for (int64_t step = 0; step < steps; ++step)
      __builtin_memcpy(&group.codes[q / kTile][step / kTile][q % kTile][step % kTile * 4],
                       codes + step * 4, 4);
  }
}

/// Both panels times all queries of the group. Rows of a tile past a panel's last step hold other
/// codes, which meet zeros.
template <class Kind>
void multiply_panels(const CompactView& view, const Group& group, int64_t first, int64_t second,
                     Sums& sums) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t tile = 0; tile * kTile < view.steps; ++tile) {
    _tile_loadd(4, group.codes[0][tile], 64);
    _tile_loadd(5, group.codes[1][tile], 64);
    _tile_loadd(6, view.codes + (first * view.steps + tile * kTile) * 64, 64);
    _tile_loadd(7, view.codes + (second * view.steps + tile * kTile) * 64, 64);
    Kind::multiply();
  }
  _tile_stored(0, sums.lane[0][0], 64);
  _tile_stored(1, sums.lane[0][1], 64);
  _tile_stored(2, sums.lane[1][0], 64);
  _tile_stored(3, sums.lane[1][1], 64);
}

template <class Kind>
void keep_survivors(const CompactView& view, const Sums& sums, int64_t side, int64_t panel,
                    uint32_t allowed, ScanQuery* queries, int64_t count) {
  const int64_t row = panel * kPanelRows;
  const __m512 scale = _mm512_loadu_ps(view.scale + row), norm = _mm512_loadu_ps(view.norm + row),
               residual = _mm512_loadu_ps(view.residual + row);
  for (int64_t q = 0; q < count; ++q) {
    const __m512 margin =
        _mm512_fmadd_ps(_mm512_set1_ps(queries[q].residual_factor), residual,
                        _mm512_mul_ps(_mm512_set1_ps(queries[q].norm_factor), norm));
    const __m512 bounds = _mm512_fmadd_ps(
        Kind::sum(sums.lane[q / kTile][side][q % kTile], queries[q]), scale, margin);
    const uint32_t survivors = Avx512::reaching(bounds, queries[q].threshold) & allowed;
    if (survivors != 0) [[unlikely]]
      keep<Avx512>(bounds, survivors, panel, queries[q]);
  }
}

template <class Kind>
void scan_amx(const CompactView& view, int64_t first, int64_t last, const uint64_t* bits,
              ScanQuery* queries, int64_t count) {
  if (count < kFewest || view.steps * 4 > kLongest) {
    Kind::few(view, first, last, bits, queries, count);
    return;
  }
  static thread_local Group group;
  Sums sums;
  const TileConfig config;
  _tile_loadconfig(&config);
  int64_t done = 0;
  for (; count - done >= kFewest; done += kGroup) {
    const int64_t some = count - done < kGroup ? count - done : kGroup;
    pack(group, queries + done, some, view.steps);
    for (int64_t q = 0; q < some; ++q) queries[done + q].count = 0;
    for (int64_t panel = first; panel < last; panel += 2) {
      const int64_t second = panel + 1 < last ? panel + 1 : panel;
      const uint32_t allowed[2] = {allowed_rows(view, panel, bits),
                                   second == panel ? 0 : allowed_rows(view, second, bits)};
      if ((allowed[0] | allowed[1]) == 0) continue;
      multiply_panels<Kind>(view, group, panel, second, sums);
      for (int64_t side = 0; side < 2; ++side)
        if (allowed[side] != 0)
          keep_survivors<Kind>(view, sums, side, panel + side, allowed[side], queries + done, some);
    }
  }
  _tile_release();
  if (done < count) Kind::few(view, first, last, bits, queries + done, count - done);
}

bool int8_supported() {
  static const bool supported = kScanAvx512Vnni.supported() && amx_permitted(kAmxInt8);
  return supported;
}

bool bf16_supported() {
  static const bool supported = kScanAvx512Bf16.supported() && amx_permitted(kAmxBf16);
  return supported;
}

}  // namespace

const ScanLevel kScanAmxInt8{"amx_int8", &scan_amx<Int8>, nullptr, &int8_supported};
const ScanLevel kScanAmxBf16{"amx_bf16", nullptr, &scan_amx<Bf16>, &bf16_supported};

}  // namespace retort
