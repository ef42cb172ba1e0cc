// Randomised slots: some of the positions of an answer are left to chance, with known probability,
// so that what is logged supports counterfactual estimates.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "retort/common/rng.h"
#include "retort/server/candidate.h"

namespace retort {

/// Off by default.
struct Exploration {
  int32_t slots = 0;  // the last so many of the k positions
  int32_t from = 0;   // drawn from the so many candidates that stand from the first slot on
};

/// How many candidates an answer of k is drawn from; k without exploration.
inline int32_t depth_of(int32_t k, const Exploration& exploration) {
  return k - exploration.slots + (exploration.slots > 0 ? exploration.from : 0);
}

/// Cuts the candidates, best first, to k. The last `slots` of them are drawn one after the other,
/// each uniformly from those of the pool that are left, so that every item of a pool of n has the
/// propensity 1 / n at each of the slots (and slots / n of being shown); the positions before keep
/// 1. Where there are fewer candidates the pool is smaller, and so may be the answer.
/// Source: the logging of uniformly randomised slots, Li et al., WSDM 2011.
void explore(std::vector<Candidate>& candidates, int32_t k, const Exploration& exploration,
             const Rng& rng);

/// The draws of one request: the same for its id every time.
Rng draws_of(std::string_view request_id);

}  // namespace retort
