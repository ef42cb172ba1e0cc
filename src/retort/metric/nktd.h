// How far two scorers order the same items differently: the distance of a retrieval model from the
// ranking model behind it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace retort {

/// Normalised Kendall tau distance: discordant pairs over N (N - 1) / 2, in [0, 1]; a pair that
/// either score ties counts one half, so it equals (1 - tau_a) / 2 and is 0.5 for a random order.
/// NaN for fewer than two items. O(N log N).
/// Source: RRA eq. 9; Kendall, Biometrika 1938; inversions by merge sort: Knight, JASA 1966.
/// @param retrieval, ranker [N] scores of the same items, no NaN; throws ArgumentError otherwise
double nktd(std::span<const float> retrieval, std::span<const float> ranker);

/// Whose best N items are compared. Own: the retrieval model's (RRA sec. 5.1.2), another set a
/// model. Ranker: the ranking model's, the same for all models. Both: the union of the two.
enum class NktdSupport { kOwn, kRanker, kBoth };
/// "own", "ranker" or "both"; throws ConfigError otherwise.
NktdSupport parse_nktd_support(const std::string& name);

/// Positions of the n best scores, best first, ties by position; all if there are fewer.
std::vector<int32_t> best_of(std::span<const float> scores, int32_t n);

/// NKTD@n of one request from the scores of all its candidates.
/// @param retrieval, ranker [candidates] aligned
double nktd_at(std::span<const float> retrieval, std::span<const float> ranker, int32_t n,
               NktdSupport support);

/// The same over any support, such as the union of several models' best: positions in the scores.
/// Throws ArgumentError on a position outside them.
double nktd_on(std::span<const float> retrieval, std::span<const float> ranker,
               std::span<const int32_t> support);

}  // namespace retort
