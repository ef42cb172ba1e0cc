// The root finder of the calibrations.
#pragma once

namespace retort {

/// Root of an increasing function in [low, high] by bisection to 1e-10.
template <class F>
double bisect(double low, double high, const F& increasing) {
  while (high - low > 1e-10) {
    const double middle = 0.5 * (low + high);
    (increasing(middle) < 0 ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

}  // namespace retort
