// The scan of compact vectors (kernel/quantised.h): products of queries with panels of 16 items and
// the choice of those whose upper bound reaches a threshold, in registers, compiled once for each
// instruction set. Plain structs only: scan_*.cc are compiled with flags of their own and must not
// leave inline functions of other headers behind that the linker could choose for all.
#pragma once

#include <cstdint>

namespace retort {

inline constexpr int64_t kPanelRows = 16;

/// Panels of 16 rows: step s of panel p is the 64 bytes at (p * steps + s) * 64, four bytes a row:
/// four values plus 128 as uint8, or two bfloat16. Rows past the last are zeros.
struct CompactView {
  const uint8_t* codes = nullptr;
  const float* scale = nullptr;     // [panels * 16] value of one unit of a row's codes
  const float* norm = nullptr;      // [panels * 16] length of the row, less the mean
  const float* residual = nullptr;  // [panels * 16] length of what the codes leave out
  int64_t steps = 0;
  int64_t rows = 0;
};

/// A row whose bound reached the threshold.
struct Survivor {
  int32_t row;
  float upper;
};

/// One query of a scan. A row's bound is
///   product * scale + norm_factor * norm + residual_factor * residual
/// and the row survives unless bound < threshold (a bound that is no number survives).
struct ScanQuery {
  const void* narrow = nullptr;  // [steps] 4 x int8, or 2 x bfloat16
  const void* wide = nullptr;    // [steps] int16 of values 0, 2, 1, 3; or float of values 0, 1
  int32_t start = 0;             // added to the product: takes the 128 of int8 codes back
  float norm_factor = 0, residual_factor = 0, threshold = 0;
  Survivor* out = nullptr;  // room for every row of the panels scanned
  int64_t count = 0;        // survivors written, in place of what was there
};

/// Scans panels [first, last) for `count` queries; `bits` (one a row, nullptr = all) filters rows.
using ScanFunction = void (*)(const CompactView& view, int64_t first, int64_t last,
                              const uint64_t* bits, ScanQuery* queries, int64_t count);

/// The functions of one instruction set; nullptr where it brings nothing new.
struct ScanLevel {
  const char* isa;
  ScanFunction int8, bf16;
  bool (*supported)();
};

extern const ScanLevel kScanGeneric, kScanAvx2, kScanAvx512, kScanAvx512Vnni, kScanAvx512Bf16,
    kScanAmxInt8, kScanAmxBf16;

}  // namespace retort
