// The scan in plain loops, for any processor.
#include "retort/kernel/scan_tile.h"

namespace retort {
namespace {

template <class T>
struct Lanes {
  T lane[kPanelRows];
};

/// What both storages share.
struct Generic {
  static constexpr int kQueries = 1, kPanels = 1;
  using Item = const uint8_t*;
  using Bounds = Lanes<float>;
  static Item load(const uint8_t* bytes) { return bytes; }
  template <class Acc>
  static Bounds bounds(const Acc& sum, const float* scale, const float* norm, const float* residual,
                       const ScanQuery& query) {
    Bounds bounds;
    for (int64_t i = 0; i < kPanelRows; ++i)
      bounds.lane[i] = static_cast<float>(sum.lane[i]) * scale[i] +
                       (query.norm_factor * norm[i] + query.residual_factor * residual[i]);
    return bounds;
  }
  static uint32_t reaching(const Bounds& bounds, float threshold) {
    uint32_t rows = 0;
    for (int64_t i = 0; i < kPanelRows; ++i)
      rows |= static_cast<uint32_t>(!(bounds.lane[i] < threshold)) << i;
    return rows;
  }
  static void store(const Bounds& bounds, float* out) {
    for (int64_t i = 0; i < kPanelRows; ++i) out[i] = bounds.lane[i];
  }
};

struct Int8 : Generic {
  using Acc = Lanes<int32_t>;
  using Query = const int16_t*;  // values 0, 2, 1, 3
  static Acc zero(const ScanQuery& query) {
    Acc sum;
    for (int32_t& lane : sum.lane) lane = query.start;
    return sum;
  }
  static Query broadcast(const ScanQuery& query, int64_t step) {
    return static_cast<const int16_t*>(query.wide) + step * 4;
  }
  static void multiply(Acc& sum, Item item, Query query) {
    for (int64_t i = 0; i < kPanelRows; ++i)
      sum.lane[i] += item[4 * i] * query[0] + item[4 * i + 1] * query[2] +
                     item[4 * i + 2] * query[1] + item[4 * i + 3] * query[3];
  }
};

struct Bf16 : Generic {
  using Acc = Lanes<float>;
  using Query = const float*;
  static Acc zero(const ScanQuery&) { return {}; }
  static Query broadcast(const ScanQuery& query, int64_t step) {
    return static_cast<const float*>(query.wide) + step * 2;
  }
  static void multiply(Acc& sum, Item item, Query query) {
    for (int64_t i = 0; i < kPanelRows; ++i) {
      uint32_t pair;
      __builtin_memcpy(&pair, item + 4 * i, 4);
      const uint32_t low = pair << 16, high = pair & 0xffff0000u;
      float first, second;
      __builtin_memcpy(&first, &low, 4);
      __builtin_memcpy(&second, &high, 4);
      sum.lane[i] += first * query[0] + second * query[1];
    }
  }
};

}  // namespace

const ScanLevel kScanGeneric{"generic", &scan<Int8>, &scan<Bf16>, [] { return true; }};

}  // namespace retort
