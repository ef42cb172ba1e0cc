#include "retort/sim/row_kernel.h"

#include <algorithm>
#include <bit>

#include "retort/kernel/clones.h"

#define RETORT_INLINE inline __attribute__((always_inline))

namespace retort {
namespace {

constexpr int64_t kLanes = 16;

/// exp by reduction to [-ln2/2, ln2/2] and the polynomial of Cephes expf.
RETORT_INLINE float exp_fast(float x) {
  x = x < -87.0F ? -87.0F : x;
  x = x > 88.0F ? 88.0F : x;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to the nearest integer
  const float n = (x * 1.44269504088896341F + kRound) - kRound;
  const float r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * (r * r) + r + 1.0F;
  return p * std::bit_cast<float>((static_cast<int32_t>(n) + 127) << 23);
}

RETORT_INLINE void affine_block(const AffineRow& row, int64_t begin, int64_t count, float* x) {
  for (int64_t j = 0; j < count; ++j) x[j] = row.base[begin + j] + row.offset;
  for (int32_t k = 0; k < row.dim; ++k) {
    const float* column = row.matrix + k * row.stride + begin;
    const float taste = row.taste[k];
    for (int64_t j = 0; j < count; ++j) x[j] += taste * column[j];
  }
}

}  // namespace

RETORT_CLONES void exp_row(const AffineRow& row, int64_t n, float* out, double* sums) {
  for (int64_t begin = 0; begin < n; begin += kRowBlock) {
    const int64_t count = std::min(kRowBlock, n - begin);
    float x[kRowBlock];
    affine_block(row, begin, count, x);
    for (int64_t j = 0; j < count; ++j) x[j] = exp_fast(x[j]);
    for (int64_t j = count; j < kRowBlock; ++j) x[j] = 0;
    double lanes[kLanes] = {};
    for (int64_t j = 0; j < kRowBlock; j += kLanes) {
      for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += x[j + lane];
    }
    double sum = 0;
    for (int64_t lane = 0; lane < kLanes; ++lane) sum += lanes[lane];
    sums[begin / kRowBlock] = sum;
    std::copy(x, x + count, out + begin);
  }
}

RETORT_CLONES void sigmoid_row(const AffineRow& row, int64_t n, float* out) {
  for (int64_t begin = 0; begin < n; begin += kRowBlock) {
    const int64_t count = std::min(kRowBlock, n - begin);
    float x[kRowBlock];
    affine_block(row, begin, count, x);
    for (int64_t j = 0; j < count; ++j) out[begin + j] = 1.0F / (1.0F + exp_fast(-x[j]));
  }
}

RETORT_CLONES double add_masses(const float* popular, const float* weights, const float* clicks,
                                int64_t n, double uniform, double scale, double activity,
                                double* item_mass) {
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += kRowBlock) {
    const int64_t count = std::min(kRowBlock, n - begin);
    double mass[kRowBlock];
    for (int64_t j = 0; j < count; ++j) {
      const double exposure = uniform + popular[begin + j] + scale * weights[begin + j];
      mass[j] = activity * exposure * clicks[begin + j];
      item_mass[begin + j] += mass[j];
    }
    for (int64_t j = count; j < kRowBlock; ++j) mass[j] = 0;
    double lanes[kLanes] = {};
    for (int64_t j = 0; j < kRowBlock; j += kLanes) {
      for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += mass[j + lane];
    }
    for (int64_t lane = 0; lane < kLanes; ++lane) total += lanes[lane];
  }
  return total;
}

}  // namespace retort
