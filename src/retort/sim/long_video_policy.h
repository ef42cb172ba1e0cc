// What fills the rows "TV For You" and "Movies For You" of World L (methods E4): the law of the
// legacy policy of World F over the shows of one type that the user has never played.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "retort/common/rng.h"
#include "retort/sim/long_video_world.h"
#include "retort/sim/policy.h"

namespace retort {

/// e_u(i) = .1 / A + .3 pi_i + .6 softmax_i(4 <theta~_u, phi_i> + .6 t_i + ln pi_i) over the A
/// shows of the type that exist on the day. All methods are const and thread-safe.
class LongVideoPolicy {
 public:
  /// The world must outlive the policy.
  LongVideoPolicy(const LongVideoWorld& world, ShowType type, int32_t day);

  int32_t alive() const { return alive_; }
  ShowType type() const { return type_; }
  void fill(int32_t user, ExposureRow& row) const;
  /// e_u(item) of a filled row; items by their number in the world. 0 if the show is of another
  /// type or not born.
  double exposure(const ExposureRow& row, int32_t item) const;
  /// One draw from e_u, draws 2 k and 2 k + 1 of `rng`. @return number in the world
  int32_t draw(const ExposureRow& row, const Rng& rng, uint64_t k) const;

  /// Fills `out` with up to `slots` distinct shows for which eligible(item) holds, drawn one after
  /// another from e_u given that they are still eligible. Fewer only where no more are found in
  /// 4096 draws.
  template <class Eligible>
  void draw_row(const ExposureRow& row, const Rng& rng, int32_t slots, const Eligible& eligible,
                std::vector<int32_t>& out) const {
    out.clear();
    for (uint64_t k = 0; k < 4096 && static_cast<int32_t>(out.size()) < slots; ++k) {
      const int32_t item = draw(row, rng, k);
      if (std::find(out.begin(), out.end(), item) == out.end() && eligible(item)) {
        out.push_back(item);
      }
    }
  }

 private:
  const LongVideoWorld& world_;
  ShowType type_;
  int32_t first_ = 0, alive_ = 0;
  std::vector<float> matrix_;          // [d + 1, A]: phi by dimension, then t
  std::vector<float> log_pi_;          // [A]
  std::vector<double> popular_until_;  // [A] running sum of pi
};

}  // namespace retort
