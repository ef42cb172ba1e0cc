// Item vectors in a compact form, int8 or bfloat16, with what is needed to bound the error of each
// product: a scan of it finds, with certainty, all items that can be among the best in fp32.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "retort/kernel/scan.h"

namespace retort {

enum class CompactStorage { kInt8, kBf16 };

/// A query made ready for a scan; see QuantisedMatrix::prepare.
struct QuantisedQuery {
  std::vector<int32_t> narrow, wide;  // as ScanQuery reads them
  int32_t start = 0;
  /// With the scan's bound of an item and its margin = norm_factor * norm + residual_factor *
  /// residual, the fp32 product of query and item is at most unit * bound + offset + slack and at
  /// least unit * (bound - 2 margin) + offset - slack.
  float norm_factor = 0, residual_factor = 0;
  double unit = 0, offset = 0, slack = 0;
  /// False where no bound holds (values not finite, huge or all but zero): score in fp32 instead.
  bool bounded = false;
};

/// Rows less their mean, in panels of 16. int8: each row symmetric around zero with its own scale,
/// dim + 12 bytes a row; bf16: 2 dim + 12 bytes a row (dim rounded up to 4 or 2).
///   |dot(q, x) - <q, mean> - <q', x'>| <= |q'| |x - mean - x'| + |q - q'| |x - mean| + rounding,
/// with q', x' the decoded codes (Cauchy-Schwarz), all lengths measured, none assumed.
class QuantisedMatrix {
 public:
  QuantisedMatrix() = default;
  /// `rows` [R, dim] row-major; runs on the pool. A row that is not finite or too long gets an
  /// infinite margin. Throws ArgumentError unless 1 <= dim <= kMaxDim.
  QuantisedMatrix(std::span<const float> rows, int64_t dim, CompactStorage storage);

  QuantisedQuery prepare(std::span<const float> query) const;
  float margin(const QuantisedQuery& query, int32_t row) const {
    return query.norm_factor * norm_[static_cast<size_t>(row)] +
           query.residual_factor * residual_[static_cast<size_t>(row)];
  }
  int64_t rows() const { return rows_; }
  int64_t panels() const { return (rows_ + kPanelRows - 1) / kPanelRows; }
  CompactStorage storage() const { return storage_; }
  CompactView view() const;
  /// Bytes held.
  int64_t bytes() const;

  static constexpr int64_t kMaxDim = 32'768;  // sums of int8 products fit 32 bits

 private:
  void encode(const float* row, int64_t at);
  void encode_int8(int64_t at, std::span<const float> centred, float largest);
  void encode_bf16(int64_t at, std::span<const float> centred);
  float decoded(int64_t at, int64_t d) const;
  uint8_t* code(int64_t at, int64_t d);
  const uint8_t* code(int64_t at, int64_t d) const;

  CompactStorage storage_ = CompactStorage::kInt8;
  int64_t rows_ = 0, dim_ = 0, steps_ = 0;
  std::vector<float> mean_, scale_, norm_, residual_;
  double mean_norm_ = 0, longest_ = 0;
  std::vector<uint8_t> codes_;
};

/// The scan of a storage that this processor runs fastest, or the one named `isa` for tests;
/// nullptr if the processor or the storage lacks it.
ScanFunction scan_function(CompactStorage storage, std::string_view isa = "");
/// Names of the instruction sets that this processor scans a storage with, fastest first.
std::vector<std::string_view> scan_levels(CompactStorage storage);

}  // namespace retort
