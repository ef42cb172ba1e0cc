// The closed forms of methods E2: what the expectation of a capped log-normal and the other
// functions of one (user, item) pair are, given the latents.
#pragma once

#include <cstdint>

namespace retort {

double sigmoid(double x);
/// Standard normal distribution function.
double normal_cdf(double x);

/// P(T > threshold) of ln T ~ N(m, sigma^2); T capped at `cap` never exceeds it. threshold > 0.
double probability_longer(double m, double sigma, double threshold, double cap);

/// E[min(T, c)] of ln T ~ N(m, sigma^2), in the unit of c:
///   e^{m + s^2/2} Phi((ln c - m - s^2)/s) + c (1 - Phi((ln c - m)/s))
/// Source: methods E2; m = ln 50, s = 1, c = 1800 gives 82.338.
double expected_capped(double m, double sigma, double cap);

/// Examination of a slot: 1 / log2(position + 1), positions from 1.
double examination(int32_t position);

}  // namespace retort
