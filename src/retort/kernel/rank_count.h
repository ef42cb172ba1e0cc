// One pass over a block of scores for the rank of one item and the best of all.
#pragma once

#include <cstdint>

namespace retort {

struct ScoreBounds {
  float low, high;  // scores within [low, high] cannot be told from the item's own
  float bar;        // scores from here on can be among the best
};

/// Adds to `above` how many of scores[0 .. n) exceed `high`. Positions of scores that are neither
/// below `low` nor above `high` go to `close`, those not below `bar` to `best` (a NaN to both);
/// both have room for n. Returns how many went to each.
struct BlockMatches {
  int64_t close, best;
};
BlockMatches compare_scores(const float* scores, int64_t n, const ScoreBounds& bounds,
                            int64_t& above, int32_t* close, int32_t* best);

/// out[i] = mask[i] != 0 (nullptr = all) ? scores[i] + beta * offset[i] : -infinity; without
/// `offset` the score alone.
void correct_scores(const float* scores, int64_t n, const uint8_t* mask, float beta,
                    const float* offset, float* out);

}  // namespace retort
