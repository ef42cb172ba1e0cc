#include "retort/report/projection.h"

#include <algorithm>
#include <cmath>

#include "retort/common/error.h"

namespace retort {
namespace {

constexpr int kRounds = 500;
constexpr double kConverged = 1e-12;
using Vector = std::vector<double>;

struct Covariance {
  Vector mean, matrix;  // [dim], [dim, dim]
  double trace = 0;
};

Covariance covariance_of(std::span<const float> vectors, size_t dim, size_t stride, size_t rows) {
  Covariance of{Vector(dim), Vector(dim * dim)};
  for (size_t row = 0; row < rows; ++row)
    for (size_t d = 0; d < dim; ++d)
      of.mean[d] += vectors[row * stride + d] / static_cast<double>(rows);
  Vector centred(dim);
  for (size_t row = 0; row < rows; ++row) {
    for (size_t d = 0; d < dim; ++d) centred[d] = vectors[row * stride + d] - of.mean[d];
    for (size_t a = 0; a < dim; ++a)
      for (size_t b = 0; b < dim; ++b)
        of.matrix[a * dim + b] += centred[a] * centred[b] / static_cast<double>(rows);
  }
  for (size_t d = 0; d < dim; ++d) of.trace += of.matrix[d * dim + d];
  return of;
}

double inner(const Vector& a, const Vector& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

Vector times(const Vector& matrix, const Vector& vector) {
  Vector out(vector.size());
  for (size_t row = 0; row < out.size(); ++row)
    for (size_t d = 0; d < out.size(); ++d) out[row] += matrix[row * out.size() + d] * vector[d];
  return out;
}

/// Length 1, or all 0 where there is nothing left.
void normalise(Vector& vector, double least) {
  const double length = std::sqrt(inner(vector, vector));
  for (double& value : vector) value = length > least ? value / length : 0;
}

void take_off(Vector& vector, const Vector& other) {
  const double share = inner(vector, other);
  for (size_t i = 0; i < vector.size(); ++i) vector[i] -= share * other[i];
}

/// The eigenvectors of the two largest eigenvalues, and these.
std::array<Vector, 2> leading(const Covariance& of, std::array<double, 2>& values) {
  const size_t dim = of.mean.size();
  std::array<Vector, 2> axes{Vector(dim), Vector(dim)};
  for (size_t d = 0; d < dim; ++d) {  // anything that no real axis is orthogonal to
    axes[0][d] = 1 + std::sin(static_cast<double>(d));
    axes[1][d] = std::cos(static_cast<double>(3 * d + 1));
  }
  const double least = 1e-14 * (1 + of.trace);
  for (int round = 0; round < kRounds; ++round) {
    std::array<Vector, 2> next{times(of.matrix, axes[0]), times(of.matrix, axes[1])};
    normalise(next[0], least);
    take_off(next[1], next[0]);
    normalise(next[1], least);
    const double turned = 2 - std::abs(inner(next[0], axes[0])) - std::abs(inner(next[1], axes[1]));
    axes = std::move(next);
    if (round > 0 && turned < kConverged) break;
  }
  for (size_t axis = 0; axis < 2; ++axis) {
    values[axis] = inner(axes[axis], times(of.matrix, axes[axis]));
    const auto largest =
        std::max_element(axes[axis].begin(), axes[axis].end(),
                         [](double a, double b) { return std::abs(a) < std::abs(b); });
    if (largest != axes[axis].end() && *largest < 0)
      for (double& value : axes[axis]) value = -value;
  }
  return axes;
}

}  // namespace

Projection project(std::span<const float> vectors, int64_t dim, int64_t stride) {
  check(dim >= 1 && stride >= dim && std::ssize(vectors) % stride == 0,
        "project: {} values are no rows of {} with stride {}", vectors.size(), dim, stride);
  const size_t rows = vectors.size() / static_cast<size_t>(stride);
  Projection projection;
  projection.points.resize(rows);
  if (rows == 0) return projection;
  const Covariance of =
      covariance_of(vectors, static_cast<size_t>(dim), static_cast<size_t>(stride), rows);
  const auto axes = leading(of, projection.explained);
  for (size_t row = 0; row < rows; ++row)
    for (size_t axis = 0; axis < 2; ++axis) {
      double sum = 0;
      for (size_t d = 0; d < of.mean.size(); ++d)
        sum += (vectors[row * static_cast<size_t>(stride) + d] - of.mean[d]) * axes[axis][d];
      projection.points[row][axis] = static_cast<float>(sum);
    }
  for (double& share : projection.explained) share = of.trace > 0 ? share / of.trace : 0;
  return projection;
}

}  // namespace retort
