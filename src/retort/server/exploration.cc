#include "retort/server/exploration.h"

#define XXH_INLINE_ALL
#include <algorithm>

#include <xxhash.h>

namespace retort {

void explore(std::vector<Candidate>& candidates, int32_t k, const Exploration& exploration,
             const Rng& rng) {
  const auto first = static_cast<size_t>(k - exploration.slots);
  if (exploration.slots > 0 && candidates.size() > first) {
    const auto from = static_cast<size_t>(exploration.from);
    const size_t pool = std::min(from, candidates.size() - first);
    const size_t slots = std::min(static_cast<size_t>(exploration.slots), pool);
    for (size_t slot = 0; slot < slots; ++slot) {
      const size_t drawn = slot + rng.below(pool - slot, slot);
      std::swap(candidates[first + slot], candidates[first + drawn]);
      candidates[first + slot].propensity = 1.0f / static_cast<float>(pool);
    }
  }
  if (std::ssize(candidates) > k) candidates.resize(static_cast<size_t>(k));
}

Rng draws_of(std::string_view request_id) {
  static const Rng stream(1, "exploration");
  return stream.fork(XXH3_64bits(request_id.data(), request_id.size()));
}

}  // namespace retort
