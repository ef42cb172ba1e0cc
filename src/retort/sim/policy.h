// The legacy policy that filled the feed: a click-greedy system with a tenth of uniform
// exploration, whose probability of every exposure is known exactly (methods E1).
#pragma once

#include <cstdint>
#include <vector>

#include "retort/common/rng.h"
#include "retort/sim/row_kernel.h"
#include "retort/sim/world.h"

namespace retort {

/// Unnormalised softmax weights of one user over A items, with their block sums and their total.
struct ExposureRow {
  std::vector<float> weights;      // [A]
  std::vector<double> block_sums;  // [ceil(A / kRowBlock)]
  double normaliser = 0;
};
/// weights = exp(row.base + taste * matrix), see exp_row.
void fill_exposures(const AffineRow& affine, int64_t alive, ExposureRow& row);
/// An item of 0 .. A - 1 from the mixture uniform / A + popular pi + rest weights / normaliser, by
/// two uniforms: the first chooses the part, the second the item. `popular_until`: running sums
/// of pi.
int32_t draw_exposure(double uniform, double popular, const std::vector<double>& popular_until,
                      const ExposureRow& row, double part, double place);

/// What the policy and the clicks of one day need of the items, laid out for the row kernels.
/// e_u(i) = uniform / A + popular pi_i + greedy softmax_i(4 <theta~_u, phi_i> + .6 t_i + ln pi_i)
/// over the A items alive on the day.
class PolicyDay {
 public:
  PolicyDay(const World& world, int32_t day);

  int32_t day() const { return day_; }
  int32_t alive() const { return alive_; }
  double greedy_share() const { return greedy_; }
  double uniform() const { return uniform_; }  // policy_uniform / A
  const std::vector<float>& popular() const { return popular_; }

  using Row = ExposureRow;
  void fill(int32_t user, Row& row) const;
  /// e_u(i) of a filled row.
  double exposure(const Row& row, int32_t item) const;
  /// An item drawn from e_u by two uniforms: the first chooses the part, the second the item.
  int32_t draw(const Row& row, double part, double place) const;
  /// sigma(eta) of every alive item at an examined slot. `out` is resized to A.
  void click_probabilities(int32_t user, std::vector<float>& out) const;

 private:
  const World& world_;
  int32_t day_ = 0, alive_ = 0;
  double uniform_ = 0, greedy_ = 0;
  std::vector<float> matrix_;          // [d + 1, A]: phi by dimension, then t
  std::vector<float> log_pi_;          // [A] ln pi_i
  std::vector<float> heat_;            // [A] h_c(i)
  std::vector<float> popular_;         // [A] policy_popular * pi_i
  std::vector<double> popular_until_;  // [A] running sum of pi
};

/// ln pi_i of the items alive on a day, normalised.
std::vector<double> log_popularity(const World& world, int32_t day);
/// theta~ times the policy's affinity, then its weight of the title: [d + 1].
void policy_taste(const World& world, int32_t user, int32_t day, float* out);

}  // namespace retort
