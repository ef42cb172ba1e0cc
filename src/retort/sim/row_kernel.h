// One user against all items: the three loops that the simulator spends its time in, written so
// that the compiler vectorises them and so that every vector width gives the same bits.
#pragma once

#include <cstdint>

namespace retort {

/// x_j = base_j + offset + sum_k taste[k] matrix[k * stride + j], j < n.
struct AffineRow {
  const float* base = nullptr;    // [n]
  const float* matrix = nullptr;  // [dim, stride] row-major
  int64_t stride = 0;
  const float* taste = nullptr;  // [dim]
  int32_t dim = 0;
  float offset = 0;
};

inline constexpr int64_t kRowBlock = 256;

/// out[j] = exp(x_j); sums[b] = sum of block b of kRowBlock outputs (the last may be short).
/// Relative error below 2e-7 for |x| < 80; x is clamped to [-87, 88].
void exp_row(const AffineRow& row, int64_t n, float* out, double* sums);

/// out[j] = 1 / (1 + exp(-x_j)).
void sigmoid_row(const AffineRow& row, int64_t n, float* out);

/// Exposures and click masses of one user: with e_j = uniform + popular[j] + scale weights[j],
/// mass_j = activity e_j clicks[j]; adds mass_j to item_mass[j] and returns the sum over j.
double add_masses(const float* popular, const float* weights, const float* clicks, int64_t n,
                  double uniform, double scale, double activity, double* item_mass);

}  // namespace retort
