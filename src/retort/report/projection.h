// Vectors in two dimensions: their principal components.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace retort {

struct Projection {
  std::vector<std::array<float, 2>> points;  // [N], centred
  std::array<double, 2> explained{};         // share of the variance along each axis
};

/// The two directions of the largest variance, found by iterating a pair of orthogonal vectors on
/// the covariance; the same for the same input. The sign of an axis is that its largest loading is
/// positive. Without two dimensions or two rows the missing axes are 0.
/// Source: Hotelling 1933; subspace iteration: Golub & Van Loan, Matrix Computations, 8.2.4.
/// @param vectors [N, dim]  @param stride values from one row to the next, at least dim
Projection project(std::span<const float> vectors, int64_t dim, int64_t stride);

}  // namespace retort
