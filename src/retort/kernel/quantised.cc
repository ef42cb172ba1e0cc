#include "retort/kernel/quantised.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "retort/common/error.h"
#include "retort/common/thread_pool.h"

namespace retort {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr double kEpsilon = 1.0 / (1 << 24);  // half a unit in the last place of 1
// Lengths beyond this could overflow a product or the sum of one; below it nothing does.
constexpr double kLongest = 1e18;
constexpr double kShortest = 1e-15;  // shorter ones lose digits to underflow

const ScanLevel* const kLevels[] = {
#if defined(__x86_64__)
    &kScanAmxInt8, &kScanAmxBf16, &kScanAvx512Vnni, &kScanAvx512Bf16, &kScanAvx512, &kScanAvx2,
#endif
    &kScanGeneric};

ScanFunction function_of(const ScanLevel& level, CompactStorage storage) {
  return storage == CompactStorage::kInt8 ? level.int8 : level.bf16;
}

/// The nearest whole number; a plain addition rounds in every instruction set.
inline float nearest(float value) {
  constexpr float kMagic = 12'582'912.0f;  // 1.5 * 2^23
  return (value + kMagic) - kMagic;
}

/// bfloat16 to the nearest, of a finite value.
inline uint16_t to_bf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

inline float from_bf16(uint16_t value) {
  const uint32_t bits = static_cast<uint32_t>(value) << 16;
  float wide;
  std::memcpy(&wide, &bits, sizeof(wide));
  return wide;
}

/// A float at least as large.
inline float round_up(double value) { return std::nextafter(static_cast<float>(value), kInfinity); }

float largest_of(std::span<const float> values) {
  float largest = 0;
  for (const float value : values) largest = std::max(largest, std::abs(value));
  return largest;
}

double length_of(std::span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += double{value} * value;
  return std::sqrt(sum);
}

int64_t values_a_step(CompactStorage storage) { return storage == CompactStorage::kInt8 ? 4 : 2; }

/// The mean of the finite rows, over blocks so that it runs on the pool yet depends on no thread.
std::vector<float> mean_of(std::span<const float> rows, int64_t count, int64_t dim) {
  constexpr int64_t kBlock = 4096;
  const int64_t blocks = (count + kBlock - 1) / kBlock;
  std::vector<double> sums(static_cast<size_t>(blocks * dim));
  parallel_for(0, blocks, 1, [&](int64_t first, int64_t last) {
    for (int64_t block = first; block < last; ++block) {
      double* sum = sums.data() + block * dim;
      for (int64_t row = block * kBlock; row < std::min(count, (block + 1) * kBlock); ++row)
        for (int64_t d = 0; d < dim; ++d) sum[d] += rows[static_cast<size_t>(row * dim + d)];
    }
  });
  std::vector<float> mean(static_cast<size_t>(dim));
  for (int64_t d = 0; d < dim; ++d) {
    double sum = 0;
    for (int64_t block = 0; block < blocks; ++block)
      sum += sums[static_cast<size_t>(block * dim + d)];
    const auto value = static_cast<float>(sum / static_cast<double>(std::max<int64_t>(count, 1)));
    mean[static_cast<size_t>(d)] = std::abs(value) < kLongest ? value : 0.0f;
  }
  return mean;
}

}  // namespace

QuantisedMatrix::QuantisedMatrix(std::span<const float> rows, int64_t dim, CompactStorage storage)
    : storage_(storage), dim_(dim) {
  check(dim >= 1 && dim <= kMaxDim, "compact vectors of width {}, expected 1 to {}", dim, kMaxDim);
  rows_ = std::ssize(rows) / dim;
  check(rows_ * dim == std::ssize(rows), "{} floats are not rows of {}", rows.size(), dim);
  steps_ = (dim + values_a_step(storage) - 1) / values_a_step(storage);
  codes_.assign(static_cast<size_t>(panels() * steps_ * 64 + 1024), 0);
  const auto padded = static_cast<size_t>(panels() * kPanelRows);
  for (std::vector<float>* column : {&scale_, &norm_, &residual_}) column->assign(padded, 0.0f);
  mean_ = mean_of(rows, rows_, dim);
  mean_norm_ = length_of(mean_);
  parallel_for(0, rows_, 256, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; ++at) encode(rows.data() + at * dim, at);
  });
  for (const float norm : norm_)
    if (std::isfinite(norm)) longest_ = std::max(longest_, double{norm});
}

uint8_t* QuantisedMatrix::code(int64_t at, int64_t d) {
  const int64_t values = values_a_step(storage_), size = 4 / values;
  return codes_.data() + ((at / kPanelRows) * steps_ + d / values) * 64 + at % kPanelRows * 4 +
         d % values * size;
}

const uint8_t* QuantisedMatrix::code(int64_t at, int64_t d) const {
  return const_cast<QuantisedMatrix*>(this)->code(at, d);
}

void QuantisedMatrix::encode_int8(int64_t at, std::span<const float> centred, float largest) {
  const bool tiny = largest < kShortest;  // stays zero: all of it is residual
  scale_[static_cast<size_t>(at)] = tiny ? 0.0f : largest / 127.0f;
  const float inverse = tiny ? 0.0f : 127.0f / largest;
  for (int64_t d = 0; d < dim_; ++d) {
    const float whole = nearest(centred[static_cast<size_t>(d)] * inverse);
    *code(at, d) =
        static_cast<uint8_t>(static_cast<int32_t>(std::clamp(whole, -127.0f, 127.0f)) + 128);
  }
}

void QuantisedMatrix::encode_bf16(int64_t at, std::span<const float> centred) {
  scale_[static_cast<size_t>(at)] = 1;
  for (int64_t d = 0; d < dim_; ++d) {
    const uint16_t value = to_bf16(centred[static_cast<size_t>(d)]);
    std::memcpy(code(at, d), &value, sizeof(value));
  }
}

float QuantisedMatrix::decoded(int64_t at, int64_t d) const {
  if (storage_ == CompactStorage::kInt8) return static_cast<float>(int32_t{*code(at, d)} - 128);
  uint16_t value;
  std::memcpy(&value, code(at, d), sizeof(value));
  return from_bf16(value);
}

void QuantisedMatrix::encode(const float* row, int64_t at) {
  thread_local std::vector<float> centred;
  centred.resize(static_cast<size_t>(dim_));
  double square = 0;
  for (int64_t d = 0; d < dim_; ++d) {
    centred[static_cast<size_t>(d)] = row[d] - mean_[static_cast<size_t>(d)];
    const double value = double{row[d]} - mean_[static_cast<size_t>(d)];
    square += value * value;
  }
  const auto slot = static_cast<size_t>(at);
  if (!(std::sqrt(square) < kLongest)) {  // also where it is no number
    norm_[slot] = residual_[slot] = kInfinity;
    return;
  }
  if (storage_ == CompactStorage::kInt8)
    encode_int8(at, centred, largest_of(centred));
  else
    encode_bf16(at, centred);
  double lost = 0;
  for (int64_t d = 0; d < dim_; ++d) {
    const double value =
        double{row[d]} - mean_[static_cast<size_t>(d)] - double{scale_[slot]} * decoded(at, d);
    lost += value * value;
  }
  norm_[slot] = round_up(std::sqrt(square));
  residual_[slot] = round_up(std::sqrt(lost));
}

QuantisedQuery QuantisedMatrix::prepare(std::span<const float> query) const {
  check(std::ssize(query) == dim_, "query of {} floats, vectors of {}", query.size(), dim_);
  QuantisedQuery ready;
  const double length = length_of(query), reach = longest_ + mean_norm_;
  if (!(length > kShortest && length < kLongest && reach < kLongest)) return ready;
  const bool int8 = storage_ == CompactStorage::kInt8;
  ready.narrow.assign(static_cast<size_t>(steps_), 0);
  ready.wide.assign(static_cast<size_t>(steps_ * 2), 0);
  const float unit = int8 ? largest_of(query) / 127.0f : 1.0f;
  auto* const bytes = reinterpret_cast<uint8_t*>(ready.narrow.data());
  auto* const wide = reinterpret_cast<uint8_t*>(ready.wide.data());
  double kept = 0, lost = 0, middle = 0;
  int32_t sum = 0;
  for (int64_t d = 0; d < dim_; ++d) {
    const float value = query[static_cast<size_t>(d)];
    double decoded = 0;
    if (int8) {
      const auto whole = static_cast<int32_t>(std::clamp(nearest(value / unit), -127.0f, 127.0f));
      const auto word = static_cast<int16_t>(whole);
      constexpr int64_t kPlace[] = {0, 2, 1, 3};  // pairs (0, 2) and (1, 3)
      bytes[d] = static_cast<uint8_t>(whole);
      std::memcpy(wide + (d / 4 * 4 + kPlace[d % 4]) * 2, &word, 2);
      decoded = double{unit} * whole;
      sum += whole;
    } else {
      const uint16_t half = to_bf16(value);
      const float back = from_bf16(half);
      std::memcpy(bytes + d * 2, &half, 2);
      std::memcpy(wide + d * 4, &back, 4);
      decoded = back;
    }
    kept += decoded * decoded;
    lost += (value - decoded) * (value - decoded);
    middle += double{value} * mean_[static_cast<size_t>(d)];
  }
  // Rounding of fp32 sums, of the scan's own arithmetic and of bf16 products, all generously.
  const double rounding = static_cast<double>(dim_ + 64) * 4 * kEpsilon * length;
  ready.start = -128 * sum;
  ready.unit = unit;
  ready.offset = middle;
  ready.norm_factor = round_up((std::sqrt(lost) + rounding) / unit);
  ready.residual_factor = round_up((std::sqrt(kept) + rounding) / unit);
  ready.slack = rounding * mean_norm_ +
                static_cast<double>(dim_) * 1e-37 * (1 + length + reach);  // underflow
  ready.bounded = std::isfinite(ready.norm_factor) && std::isfinite(ready.residual_factor);
  return ready;
}

CompactView QuantisedMatrix::view() const {
  return {codes_.data(), scale_.data(), norm_.data(), residual_.data(), steps_, rows_};
}

int64_t QuantisedMatrix::bytes() const {
  return static_cast<int64_t>(codes_.size() +
                              4 * (scale_.size() + norm_.size() + residual_.size() + mean_.size()));
}

ScanFunction scan_function(CompactStorage storage, std::string_view isa) {
  for (const ScanLevel* level : kLevels)
    if (function_of(*level, storage) != nullptr && level->supported() &&
        (isa.empty() || isa == level->isa))
      return function_of(*level, storage);
  return nullptr;
}

std::vector<std::string_view> scan_levels(CompactStorage storage) {
  std::vector<std::string_view> names;
  for (const ScanLevel* level : kLevels)
    if (function_of(*level, storage) != nullptr && level->supported())
      names.emplace_back(level->isa);
  return names;
}

}  // namespace retort
