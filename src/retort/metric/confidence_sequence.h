// Intervals that hold at every moment of a test at once, so that it may be looked at, and stopped,
// whenever one likes. A fixed interval looked at again and again is wrong far more often than it
// says.
#pragma once

#include <array>
#include <cstdint>

#include "retort/metric/bootstrap.h"

namespace retort {

/// Half the width, in standard deviations, of the asymptotic confidence sequence of a mean after n
/// observations:  sqrt(2 (x + 1) / (x n) ln(sqrt(x + 1) / alpha)),  x = n rho^2. rho is chosen so
/// that it is narrowest after `tuned_for`, at x = ln((x + 1) / alpha^2): there 3.03 / sqrt(n) at
/// alpha = .05, where an interval for one look has 1.96 / sqrt(n). n, tuned_for >= 1; 0 < alpha
/// < 1. Source: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, "Time-uniform central limit theory
/// and asymptotic confidence sequences", Annals of Statistics 52 (2024), theorem 2.2 and its choice
/// of rho.
double sequence_half_width(int64_t n, int64_t tuned_for, double alpha = 0.05);

/// What one user did in two arms: sums of a ratio such as seconds / impressions.
struct PairedUser {
  double numerator = 0, denominator = 0;
  double base_numerator = 0, base_denominator = 0;
};

/// The difference of two ratios of sums over users [U], paired, as they arrive. The sequence is
/// that of the linearised difference, the mean over users of
///   d_u = (num_u - R den_u) / mean(den) - (base_num_u - R0 base_den_u) / mean(base_den),
/// R and R0 the ratios so far. It asks for users alike and independent, and is asymptotic: the
/// guarantee is for looks from some first number of users on (kFirstLook), not for heavy tails of
/// three users.
class PairedSequence {
 public:
  static constexpr int64_t kFirstLook = 100;

  /// `tuned_for`: how many users are expected in all.
  explicit PairedSequence(int64_t tuned_for, double alpha = 0.05);

  void add(const PairedUser& user);
  int64_t users() const { return users_; }
  /// Exactly 0 where no user differed; unbounded before two users or while a denominator is 0.
  Interval interval() const;

 private:
  int64_t tuned_for_, users_ = 0;
  double alpha_;
  bool differs_ = false;
  std::array<double, 4> sums_{};
  std::array<std::array<double, 4>, 4> products_{};
};

}  // namespace retort
