// The body of every scan: a register tile of kQueries x kPanels products. Included by scan_*.cc
// only; everything here is in an unnamed namespace, so that each file keeps its own code.
//
// Arch supplies: Item load(bytes), Query broadcast(query, step), Acc zero(query),
// void multiply(Acc&, Item, Query), Bounds bounds(Acc, scale, norm, residual, query),
// uint32_t reaching(Bounds, threshold), void store(Bounds, float*).
#pragma once

#include "retort/kernel/scan.h"

namespace retort {
namespace {

/// One bit for each of the panel's 16 rows that exists and is allowed.
inline uint32_t allowed_rows(const CompactView& view, int64_t panel, const uint64_t* bits) {
  uint32_t allowed = 0xffff;
  if (bits != nullptr)
    allowed = static_cast<uint32_t>(bits[panel / 4] >> (panel % 4 * 16)) & 0xffff;
  const int64_t left = view.rows - panel * kPanelRows;
  return left >= kPanelRows ? allowed : allowed & ((1u << left) - 1);
}

template <class Arch>
[[gnu::noinline]] void keep(typename Arch::Bounds bounds, uint32_t survivors, int64_t panel,
                            ScanQuery& query) {
  float upper[kPanelRows];
  Arch::store(bounds, upper);
  for (; survivors != 0; survivors &= survivors - 1) {
    const int lane = __builtin_ctz(survivors);
    query.out[query.count++] = {static_cast<int32_t>(panel * kPanelRows + lane), upper[lane]};
  }
}

template <class Arch, int kQueries, int kPanels>
inline void scan_tile(const CompactView& view, int64_t panel, const uint32_t* allowed,
                      ScanQuery* queries) {
  const uint8_t* codes = view.codes + panel * view.steps * 64;
  typename Arch::Acc sums[kQueries][kPanels];
  for (int q = 0; q < kQueries; ++q)
    for (int p = 0; p < kPanels; ++p) sums[q][p] = Arch::zero(queries[q]);
  for (int64_t step = 0; step < view.steps; ++step) {
    typename Arch::Item items[kPanels];
    for (int p = 0; p < kPanels; ++p) items[p] = Arch::load(codes + (p * view.steps + step) * 64);
    for (int q = 0; q < kQueries; ++q) {
      const typename Arch::Query value = Arch::broadcast(queries[q], step);
      for (int p = 0; p < kPanels; ++p) Arch::multiply(sums[q][p], items[p], value);
    }
  }
  for (int q = 0; q < kQueries; ++q)
    for (int p = 0; p < kPanels; ++p) {
      const int64_t row = (panel + p) * kPanelRows;
      const auto bounds = Arch::bounds(sums[q][p], view.scale + row, view.norm + row,
                                       view.residual + row, queries[q]);
      const uint32_t survivors = Arch::reaching(bounds, queries[q].threshold) & allowed[p];
      if (survivors != 0) [[unlikely]]
        keep<Arch>(bounds, survivors, panel + p, queries[q]);
    }
}

/// All queries against kPanels panels; panels without an allowed row are passed over.
template <class Arch, int kQueries, int kPanels>
inline void scan_panels(const CompactView& view, int64_t panel, const uint64_t* bits,
                        ScanQuery* queries, int64_t count) {
  uint32_t allowed[kPanels], any = 0;
  for (int p = 0; p < kPanels; ++p) any |= allowed[p] = allowed_rows(view, panel + p, bits);
  if (any == 0) return;
  int64_t q = 0;
  for (; q + kQueries <= count; q += kQueries)
    scan_tile<Arch, kQueries, kPanels>(view, panel, allowed, queries + q);
  for (; q < count; ++q) scan_tile<Arch, 1, kPanels>(view, panel, allowed, queries + q);
}

template <class Arch>
void scan(const CompactView& view, int64_t first, int64_t last, const uint64_t* bits,
          ScanQuery* queries, int64_t count) {
  for (int64_t q = 0; q < count; ++q) queries[q].count = 0;
  int64_t panel = first;
  for (; panel + Arch::kPanels <= last; panel += Arch::kPanels)
    scan_panels<Arch, Arch::kQueries, Arch::kPanels>(view, panel, bits, queries, count);
  for (; panel < last; ++panel)
    scan_panels<Arch, Arch::kQueries, 1>(view, panel, bits, queries, count);
}

}  // namespace
}  // namespace retort
