// What a few independent repetitions say: seeds, worlds.
#pragma once

#include <span>

#include "retort/metric/bootstrap.h"

namespace retort {

/// Mean of values [S], S >= 1.
double mean_of(std::span<const double> values);
/// Sample deviation of values [S]; NaN for fewer than two.
double deviation_of(std::span<const double> values);
/// Mean of values [S], S >= 2, and its 95% interval by Student's t with S - 1 degrees of freedom:
/// for values that are independent and roughly normal. Source: Student, Biometrika 1908; beyond 30
/// degrees Abramowitz & Stegun 26.7.5, first two terms. Throws ArgumentError for fewer.
Interval t_interval(std::span<const double> values);

}  // namespace retort
